"""Cases for any recommender: nothing is judged but what is visible on the wire."""
