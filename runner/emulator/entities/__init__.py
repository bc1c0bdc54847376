"""What each resource of the API does to the state, one module a resource."""
