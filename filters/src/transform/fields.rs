use super::{
    JsonPath, ProjectFile, RenameFile, StepProblem, TransformError, WhenMissing,
    document::Document,
    path::{Root, Step},
    source::document,
    with_document,
};
use crate::Event;

/// The way to a field of the data.
pub(super) type Field = Box<[Step]>;

/// The steps of a path that leads into the data, to a member of an object or the data itself.
pub(super) fn field(path: &JsonPath) -> Result<Field, StepProblem> {
    match (&path.root, path.steps.last()) {
        (Root::Data, None | Some(Step::Key(_))) => Ok(path.steps.clone()),
        _ => Err(StepProblem::NoField(path.to_string())),
    }
}

/// Fields that are kept or dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Projection {
    Keep(Box<[Field]>),
    Drop(Box<[Field]>),
}

impl Projection {
    pub(super) fn new(file: &ProjectFile) -> Result<Projection, StepProblem> {
        let fields = |paths: &[JsonPath]| -> Result<Box<[Field]>, StepProblem> {
            paths
                .iter()
                .map(|path| match &*field(path)? {
                    // Without the other elements a place in a list says nothing.
                    steps
                        if steps.iter().all(|step| matches!(step, Step::Key(_)))
                            && !steps.is_empty() =>
                    {
                        Ok(steps.into())
                    }
                    _ => Err(StepProblem::NoField(path.to_string())),
                })
                .collect()
        };
        match (&*file.keep, &*file.drop) {
            (keep @ [_, ..], []) => Ok(Projection::Keep(fields(keep)?)),
            ([], drop @ [_, ..]) => Ok(Projection::Drop(fields(drop)?)),
            _ => Err(StepProblem::KeepOrDrop),
        }
    }

    pub(super) fn apply(&self, event: &Event) -> Result<Event, TransformError> {
        let mut data = document(event)?;
        match self {
            Projection::Keep(fields) => {
                let mut kept = Document::empty();
                for field in fields {
                    if let Some(found) = data.find(field)? {
                        kept.insert(field, found.clone())?;
                    }
                }
                with_document(event, &kept)
            }
            Projection::Drop(fields) => {
                for field in fields {
                    data.remove(field)?;
                }
                with_document(event, &data)
            }
        }
    }
}

/// A field that is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rename {
    from: JsonPath,
    to: Field,
    missing: WhenMissing,
}

impl Rename {
    pub(super) fn new(file: RenameFile) -> Result<Rename, StepProblem> {
        if field(&file.from)?.is_empty() {
            return Err(StepProblem::NoField(file.from.to_string()));
        }
        Ok(Rename {
            to: field(&file.to)?,
            from: file.from,
            missing: file.missing,
        })
    }

    pub(super) fn apply(&self, event: &Event) -> Result<Event, TransformError> {
        let mut data = document(event)?;
        match (data.remove(&self.from.steps)?, self.missing) {
            (Some(value), _) => {
                data.insert(&self.to, value)?;
                with_document(event, &data)
            }
            (None, WhenMissing::Pass) => Ok(event.clone()),
            (None, WhenMissing::Error) => Err(TransformError::Missing(self.from.to_string())),
        }
    }
}
