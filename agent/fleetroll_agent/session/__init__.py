"""The one stream between this host and a server, the unary calls beside it, and enrolment."""
