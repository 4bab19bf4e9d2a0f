"""How long other runs would take: times of blocks, costs, simulation, a model, and its report."""
