use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DataStruct, DeriveInput, Error, Fields, Result};

use crate::attribute::{EventAttribute, field_name};

/// The most fields of a table.
const MAX_FIELDS: usize = 127;

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let EventAttribute {
        event_type,
        version,
        id,
    } = EventAttribute::of(input)?;
    let Data::Struct(DataStruct {
        fields: Fields::Named(fields),
        ..
    }) = &input.data
    else {
        return Err(Error::new(
            input.ident.span(),
            "an event is a struct with named fields",
        ));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new(
            input.ident.span(),
            "an event has no parameters: its table is one",
        ));
    }
    if fields.named.len() > MAX_FIELDS {
        return Err(Error::new(
            input.ident.span(),
            "an event has at most 127 fields",
        ));
    }
    let names = fields
        .named
        .iter()
        .map(field_name)
        .collect::<Result<Vec<_>>>()?;
    let idents: Vec<_> = fields.named.iter().map(|field| &field.ident).collect();
    let types: Vec<_> = fields.named.iter().map(|field| &field.ty).collect();
    let event = &input.ident;
    let check = id.map(|[first, second]| {
        let message = format!(
            "the fields of `{event}` changed: count its version up, and give it the id of `{event}::KIND.id()`"
        );
        quote! {
            const _: () = {
                let id = <#event as ::wire::Event>::KIND.id().0;
                assert!(id[0] == #first && id[1] == #second, #message);
            };
        }
    });
    Ok(quote! {
        impl ::wire::Event for #event {
            const KIND: ::wire::kind::Kind<'static> = ::wire::kind::Kind {
                event_type: #event_type,
                version: #version,
                fields: &[#(
                    ::wire::kind::Field {
                        name: #names,
                        scalar: <#types as ::wire::event::FieldType>::SCALAR,
                        shape: <#types as ::wire::event::FieldType>::SHAPE,
                    },
                )*],
            };

            fn encode<'b>(
                &self,
                into: &'b mut [u8],
            ) -> ::core::result::Result<&'b [u8], ::wire::EncodeError> {
                let mut data = ::wire::event::DataWriter::new(into);
                #( ::wire::event::FieldType::put(&self.#idents, &mut data); )*
                data.finish()
            }

            fn decode(data: &[u8]) -> ::core::result::Result<Self, ::wire::DecodeError> {
                let mut data = ::wire::event::DataReader::new(data);
                let event = Self { #( #idents: ::wire::event::FieldType::take(&mut data)?, )* };
                data.end()?;
                ::core::result::Result::Ok(event)
            }
        }

        #check
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        expand(&syn::parse_str(text).unwrap())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_is_no_event_is_refused_with_the_reason() {
        let with = |attribute: &str| error(&format!("#[event({attribute})] struct A {{ n: u8 }}"));
        assert_eq!(
            with("version = 1"),
            "an event has a type: #[event(type = \"…\", version = 1)]"
        );
        assert_eq!(
            with("type = \"a\""),
            "an event has a version: #[event(type = \"…\", version = 1)]"
        );
        assert_eq!(with("type = \"\", version = 1"), "a type has 1 to 64 bytes");
        assert_eq!(with("type = \"a\", version = 0"), "a version is 1 to 65535");
        assert_eq!(
            with("type = \"a\", version = 65536"),
            "a version is 1 to 65535"
        );
        assert_eq!(
            with("type = \"a\", version = 1, version = 2"),
            "this was said before"
        );
        assert_eq!(
            with("type = \"a\", version = 1, id = \"12g4\""),
            "an id is four hexadecimal digits"
        );
        assert_eq!(with("kind = \"a\""), "there are `type`, `version` and `id`");
        let head = "#[event(type = \"a\", version = 1)]";
        assert_eq!(
            error(&format!("{head} enum A {{ B }}")),
            "an event is a struct with named fields"
        );
        assert_eq!(
            error(&format!("{head} struct A(u8);")),
            "an event is a struct with named fields"
        );
        assert_eq!(
            error(&format!("{head} struct A<T> {{ n: T }}")),
            "an event has no parameters: its table is one"
        );
        let long = "x".repeat(65);
        assert_eq!(
            error(&format!("{head} struct A {{ {long}: u8 }}")),
            "a field has a name of at most 64 bytes"
        );
    }
}
