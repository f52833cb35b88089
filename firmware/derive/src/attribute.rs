use syn::{DeriveInput, Error, LitInt, LitStr, Result, spanned::Spanned};

/// The longest text of a table, in bytes.
pub(crate) const MAX_TEXT: usize = 64;

/// What `#[event(…)]` says.
#[derive(Debug)]
pub(crate) struct EventAttribute {
    pub(crate) event_type: String,
    pub(crate) version: u16,
    pub(crate) id: Option<[u8; 2]>,
}

impl EventAttribute {
    pub(crate) fn of(input: &DeriveInput) -> Result<Self> {
        let (mut event_type, mut version, mut id) = (None, None, None);
        for attribute in input
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("event"))
        {
            attribute.parse_nested_meta(|meta| {
                let is_again = if meta.path.is_ident("type") {
                    event_type
                        .replace(parse_type(&meta.value()?.parse()?)?)
                        .is_some()
                } else if meta.path.is_ident("version") {
                    version
                        .replace(parse_version(&meta.value()?.parse()?)?)
                        .is_some()
                } else if meta.path.is_ident("id") {
                    id.replace(parse_id(&meta.value()?.parse()?)?).is_some()
                } else {
                    return Err(meta.error("there are `type`, `version` and `id`"));
                };
                if is_again {
                    Err(meta.error("this was said before"))
                } else {
                    Ok(())
                }
            })?;
        }
        let missing = |what| {
            Error::new(
                input.ident.span(),
                format!("an event has a {what}: #[event(type = \"…\", version = 1)]"),
            )
        };
        Ok(EventAttribute {
            event_type: event_type.ok_or_else(|| missing("type"))?,
            version: version.ok_or_else(|| missing("version"))?,
            id,
        })
    }
}

fn parse_type(literal: &LitStr) -> Result<String> {
    let value = literal.value();
    if value.is_empty() || value.len() > MAX_TEXT {
        return Err(Error::new(literal.span(), "a type has 1 to 64 bytes"));
    }
    Ok(value)
}

fn parse_version(literal: &LitInt) -> Result<u16> {
    literal
        .base10_parse()
        .ok()
        .filter(|version| *version > 0)
        .ok_or_else(|| Error::new(literal.span(), "a version is 1 to 65535"))
}

fn parse_id(literal: &LitStr) -> Result<[u8; 2]> {
    let value = literal.value();
    let number = u16::from_str_radix(&value, 16)
        .ok()
        .filter(|_| value.len() == 4);
    number
        .map(u16::to_be_bytes)
        .ok_or_else(|| Error::new(literal.span(), "an id is four hexadecimal digits"))
}

/// The name a field has in the table.
pub(crate) fn field_name(field: &syn::Field) -> Result<String> {
    let name = field
        .ident
        .as_ref()
        .map(|name| name.to_string().trim_start_matches("r#").to_owned());
    name.filter(|name| name.len() <= MAX_TEXT)
        .ok_or_else(|| Error::new(field.span(), "a field has a name of at most 64 bytes"))
}
