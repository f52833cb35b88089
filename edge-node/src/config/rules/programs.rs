//! The jq programs of steps.

use std::collections::BTreeSet;

use filters::rules::RuleDefinition;

use super::{ConfigError, Document, Fault};
use crate::jq;

/// Different programs of all files of rules.
const MAX_PROGRAMS: usize = 100;

/// The programs that were found to be right.
#[derive(Default)]
pub(super) struct Programs(BTreeSet<String>);

impl Programs {
    pub(super) fn check(
        &mut self,
        rules: &[RuleDefinition],
        document: &Document<'_>,
    ) -> Result<(), ConfigError> {
        for (rule, definition) in rules.iter().enumerate() {
            for (step, it) in definition.step.iter().enumerate() {
                let Some(jq) = &it.jq else { continue };
                self.check_one(&jq.program)
                    .map_err(|what| ConfigError::At {
                        place: document.place(&format!("rule.{rule}.step.{step}.jq.program")),
                        fault: Fault::Wrong { what },
                    })?;
            }
        }
        Ok(())
    }

    fn check_one(&mut self, program: &str) -> Result<(), String> {
        if self.0.contains(program) {
            return Ok(());
        }
        jq::check(program)?;
        self.0.insert(program.to_owned());
        match self.0.len() <= MAX_PROGRAMS {
            true => Ok(()),
            false => Err(format!("rules have at most {MAX_PROGRAMS} jq programs")),
        }
    }
}
