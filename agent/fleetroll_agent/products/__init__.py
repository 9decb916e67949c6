"""Products beside the agent: how each kind is switched, held healthy, and put back."""
