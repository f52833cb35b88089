//! A storage whose crashes, faults and stalls come from a seed.
