"""How much of the whole somebody may have at a time, counted in Redis, and without it when that is away."""
