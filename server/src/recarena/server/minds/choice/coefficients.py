"""The choice mind's coefficients: Greek letters of its equations, with names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Defaults were set by hand so that, in a generated world, a visit sees about 1.8 pages and a
    personalised list is watched about one item in six, a random one about one in eleven. They are
    not fitted to people. All are in units of utility (log odds) unless said otherwise."""

    taste: float = 1.3
    """beta_T, per standard deviation of theta.x over the world's pairs."""
    quality: float = 0.5
    """beta_Q, per rating point."""
    conformity: float = 0.4
    """beta_C, per standard deviation of log popularity, times c_u."""
    word_of_mouth: float = 0.9
    """beta_W, times closeness x sentiment."""
    novelty: float = 0.4
    """beta_N, times d_u and the share of the genre that is new."""
    fatigue: float = 0.35
    """beta_F, per recent watch of the genre."""
    seen: float = 3.5
    """beta_S: an item watched before."""
    explanation: float = 1.0
    """beta_E, times E_ui."""
    false_claim: float = 0.5
    """xi: loss per false claim of an explanation."""
    credulity: float = 0.0
    """psi_p: what praise in an explanation adds, times kappa_u; 0: praise moves nobody."""
    foresight: float = 0.5
    """Share of its own taste for an item that a user knows before watching, in 0..1."""
    sought: float = 2.0
    """An item that the user searched for and finds (not in the literature's form)."""
    item: float = -2.1
    """Utility of an average item at the top of the page."""
    go_on: float = 0.4
    """alpha_N: going to the next page."""
    go_on_fade: float = 0.55
    """nu, per page seen."""
    search: float = -1.9
    """alpha_S: searching."""
    search_heard: float = 1.1
    """omega, times the strongest mention of an item that is not on the page."""
    leave: float = -0.1
    """alpha_L: leaving."""
    leave_page: float = 0.35
    """delta, per page seen."""
    leave_satisfied: float = 0.8
    """kappa, times satisfaction - 1/2: the satisfied stay longer."""
    active: float = 0.0
    """Added to everybody's log odds of being active; large: all are."""
    sociable: float = 0.0
    """Added to everybody's log odds of opening the social network rather than the recommender."""
    active_satisfied: float = 1.5
    """phi, times satisfaction - 1/2."""
    active_gap: float = 0.3
    """psi, times log(1 + rounds away)."""
    social_unread: float = 0.35
    """Per unread post (at most 3): draws to the social network."""
    social_unshared: float = 0.6
    """An unshared watch: draws to the social network."""
    answer_post: float = 0.4
    """Log odds of answering the newest unread post by chat."""
    post_intensity: float = 0.6
    """zeta, times |r - 3| of what there is to tell."""
    rating_noise: float = 0.4
    """Standard deviation of epsilon, rating points."""
    rating_scale: float = 0.35
    """Scale of the ordered logit, rating points."""
    rating_conformity: float = 0.5
    """gamma: weight of the displayed mean rating, times c_u."""
    mention_half_life: float = 6.0
    """h: rounds until what was heard counts half."""
    conversation: float = -2.5
    """Log odds of opening a visit with words, where the recommender can talk."""
