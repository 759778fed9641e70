"""Buy till you die: how often customers who are under no contract will come back, from when they bought alone.

Our own code, since lifetimes 0.11.3 fits the Pareto/NBD too slowly, tells no probability of a purchase within a horizon
and saves by pickle. Time is in any one unit; published parameters are in weeks.
"""
