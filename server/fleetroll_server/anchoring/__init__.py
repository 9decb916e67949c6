"""Where hosts find this fleet's servers, whom they trust there, and the change of both without touching a host."""
