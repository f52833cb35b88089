use super::{
    ConvertFile, Decimal, JsonPath, ScaleFile, StepProblem, TooManyDigits, TransformError,
    WhenMissing, document::Document, path::Root, source::document, with_document,
};
use crate::{Conversion, Event};

/// A number of the data that is computed anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NumberStep {
    field: JsonPath,
    operation: Operation,
    missing: WhenMissing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Operation {
    Scale { factor: Decimal, offset: Decimal },
    Convert(Box<Conversion>),
}

impl NumberStep {
    pub(super) fn scale(file: ScaleFile) -> Result<NumberStep, StepProblem> {
        let operation = Operation::Scale {
            factor: file.factor.unwrap_or(Decimal::new(1, 0)),
            offset: file.offset.unwrap_or(Decimal::ZERO),
        };
        NumberStep::new(file.field, operation, file.missing)
    }

    pub(super) fn convert(file: ConvertFile) -> Result<NumberStep, StepProblem> {
        let conversion = Conversion::new(&file.from, &file.to).map_err(StepProblem::Unit)?;
        NumberStep::new(
            file.field,
            Operation::Convert(Box::new(conversion)),
            file.missing,
        )
    }

    fn new(
        field: JsonPath,
        operation: Operation,
        missing: WhenMissing,
    ) -> Result<NumberStep, StepProblem> {
        if field.root != Root::Data {
            return Err(StepProblem::NoField(field.to_string()));
        }
        Ok(NumberStep {
            field,
            operation,
            missing,
        })
    }

    pub(super) fn apply(&self, event: &Event) -> Result<Event, TransformError> {
        let mut data = document(event)?;
        let found = match data.find(&self.field.steps)? {
            Some(Document::Raw(text)) if text == "null" => None,
            found => found,
        };
        match (found, self.missing) {
            (Some(found), _) => {
                *found = self.computed(found)?;
                with_document(event, &data)
            }
            (None, WhenMissing::Pass) => Ok(event.clone()),
            (None, WhenMissing::Error) => Err(TransformError::Missing(self.field.to_string())),
        }
    }

    fn computed<'a>(&self, found: &Document<'a>) -> Result<Document<'a>, TransformError> {
        let not_number = || TransformError::NotNumber(self.field.to_string());
        let Document::Raw(text) = found else {
            return Err(not_number());
        };
        let number = self.operation.apply(text).ok_or_else(not_number)?;
        let number =
            number.map_err(|error| TransformError::Digits(self.field.to_string(), error))?;
        Ok(Document::owned(number))
    }
}

impl Operation {
    /// `None` for what is no number.
    fn apply(&self, text: &str) -> Option<Result<String, TooManyDigits>> {
        match self {
            Operation::Convert(conversion) => conversion.convert(text),
            Operation::Scale { factor, offset } => {
                let value = Decimal::parse(text)?;
                if *factor == Decimal::new(1, 0) && *offset == Decimal::ZERO {
                    return Some(Ok(text.to_owned()));
                }
                let scaled = value.and_then(|value| value.times(*factor)?.plus(*offset));
                Some(scaled.map(|value| value.to_string()))
            }
        }
    }
}
