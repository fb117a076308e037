# Starts what a test steers the node with, and nothing that discovers anything.
defmodule Served do
  use Application

  def start(_type, _args) do
    :ok = :node_agent.start_from_env()
    Supervisor.start_link([], strategy: :one_for_one)
  end
end
