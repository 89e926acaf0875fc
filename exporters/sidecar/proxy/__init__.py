r"""A reverse proxy in front of a model server that was not changed for it.

    client <--> forward (a process of its own) <--> upstream
                   |  exchanges, after they are over
                   v
              supervise --> observe --> readings --> events, as POST /v1/predictions takes them

The forwarding process knows HTTP and nothing of models: whatever happens on the other side of the
line, it goes on forwarding. `framing` is HTTP/1.1, `routes` says which exchanges are inference.
"""
