use super::RuleId;

/// What a set of rules may cost. A rule that would exceed it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of the compiled rules, about.
    pub max_bytes: usize,
    /// Conditions of all rules; a rule with `$or` has those of each combination of branches.
    pub max_conditions: usize,
    /// Rules without a condition that the index can find them by: each is tested on every event.
    pub max_unindexed: usize,
}

impl Default for Budget {
    /// 256 MiB, 4,000,000 conditions, 100 rules without an access.
    fn default() -> Budget {
        Budget {
            max_bytes: 256 << 20,
            max_conditions: 4_000_000,
            max_unindexed: 100,
        }
    }
}

/// Why a rule does not fit into its index. The rules before it are unharmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// [`Budget::max_bytes`].
    #[error("with rule {} the rules take more than {max} bytes", rule.0)]
    TooManyBytes {
        /// The rule that is one too many.
        rule: RuleId,
        /// The bound.
        max: usize,
    },
    /// [`Budget::max_conditions`].
    #[error("with rule {} the rules have more than {max} conditions", rule.0)]
    TooManyConditions {
        /// The rule that is one too many.
        rule: RuleId,
        /// The bound.
        max: usize,
    },
    /// [`Budget::max_unindexed`].
    #[error("rule {} has no condition that an index can find it by, as more than {max} others", rule.0)]
    TooManyUnindexed {
        /// The rule that is one too many.
        rule: RuleId,
        /// The bound.
        max: usize,
    },
}
