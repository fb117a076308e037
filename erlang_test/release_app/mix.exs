# A small application, as a release of it runs in production: without libcluster
# and without Postgres. It has no dependencies, so that nothing is downloaded.
#
# With DISCOVERY=libcluster in the environment it is one that has them, from hex.
defmodule Served.MixProject do
  use Mix.Project

  def project do
    [
      app: :served,
      version: "1.0.0",
      deps: deps(System.get_env("DISCOVERY")),
      # What the tests steer a node with; they copy it there.
      erlc_paths: ["src"],
      releases: [served: [include_executables_for: [:unix]]]
    ]
  end

  def application, do: [mod: {Served, []}, extra_applications: [:logger]]

  defp deps("libcluster"), do: [{:libcluster_postgres, "~> 0.2"}]
  defp deps(_), do: []
end
