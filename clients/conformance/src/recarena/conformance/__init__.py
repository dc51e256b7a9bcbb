"""Whether a recommender, in any language, does as the contract says: `recarena-conformance`."""
