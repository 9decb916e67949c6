"""The agents' streams: admission, handshake, sessions, drain. What a message means is the engine's matter.

Rules kept here:

* A session is a task that the server owns; it is ended and awaited before the server stops.
* The body of a message never says who the agent is: the session does.
* Queues are bounded; a slow reader is closed, never buffered without limit.
* The newest hello closes the older stream; what an older epoch still sends is answered RECONNECT.
"""
