"""Reports, logs and costs, computed from the clicks and conversions that the state holds."""
