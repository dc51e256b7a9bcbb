/**
 * Connects recommenders to a RecArena server: write a {@link org.recarena.client.Recommender} and
 * {@link org.recarena.client.RecArena#serve serve} it.
 *
 * <p>The messages that its methods are given are those of {@code org.recarena.v1}; the comments in
 * their {@code .proto} files are the manual. All that this package throws on purpose is a {@link
 * org.recarena.client.RecArenaException}.
 */
package org.recarena.client;
