//! The canonical event, its ids, money and bus messages: what every part of Weir shares.
