"""Where this host finds its servers and whom it trusts there, as a person sees it: show, and import by hand."""
