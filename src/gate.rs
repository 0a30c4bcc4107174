//! The instrument that says whether a change made something slower: base and head interleaved, verdicts by cell.
