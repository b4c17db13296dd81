"""Learning from what devices have observed: labels, challengers, the gate's decision, the release."""
