# Discovers nobody, unless it was built with libcluster.
defmodule Served do
  use Application

  # Only the tests put it in.
  @compile {:no_warn_undefined, :node_agent}

  def start(_type, _args) do
    :ok = be_steered(System.get_env("NODE_AGENT_SOCKET"))
    Supervisor.start_link(discovery(), strategy: :one_for_one)
  end

  # By a test, if there is one.
  defp be_steered(nil), do: :ok
  defp be_steered(_socket), do: :node_agent.start_from_env()

  if Code.ensure_loaded?(Cluster.Supervisor) do
    defp discovery, do: [{Cluster.Supervisor, [topologies()]}]

    defp topologies do
      config = [
        hostname: System.fetch_env!("PGHOST"),
        username: System.fetch_env!("PGUSER"),
        password: System.fetch_env!("PGPASSWORD"),
        database: System.fetch_env!("PGDATABASE"),
        port: 5432,
        channel_name: System.fetch_env!("CHANNEL")
      ]

      [served: [strategy: LibclusterPostgres.Strategy, config: config]]
    end
  else
    defp discovery, do: []
  end
end
