"""A block's season: harvests foretold from visits, corrected by later ones, scored and learned from when weighed."""
