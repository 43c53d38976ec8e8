//! Tuples of two to four keys, ordered by their first differing component.
//!
//! All components but the last are inner; the last stands where the tuple stands, so a tuple
//! inside a tuple delimits itself like any other component.

use super::{AsKey, Key, Position};
use crate::error::BoxError;

/// For each component: its key type, the type looked up with, its index.
macro_rules! tuple_keys {
    ($($k:ident $q:ident $i:tt),+; $last_k:ident $last_q:ident $last_i:tt) => {
        impl<$($k: Key,)+ $last_k: Key> Key for ($($k,)+ $last_k,) {
            fn type_tag(tag: &mut String) {
                tag.push('(');
                $($k::type_tag(tag); tag.push(',');)+
                $last_k::type_tag(tag);
                tag.push(')');
            }

            fn decode_key(bytes: &mut &[u8], at: Position) -> Result<Self, BoxError> {
                Ok((
                    $($k::decode_key(bytes, Position::Inner)?,)+
                    $last_k::decode_key(bytes, at)?,
                ))
            }
        }

        impl<$($k, $q: AsKey<$k>,)+ $last_k, $last_q: AsKey<$last_k>>
            AsKey<($($k,)+ $last_k,)> for ($($q,)+ $last_q,)
        {
            fn encode_key(&self, out: &mut Vec<u8>, at: Position) {
                $(self.$i.encode_key(out, Position::Inner);)+
                self.$last_i.encode_key(out, at);
            }
        }
    };
}

tuple_keys!(A QA 0; B QB 1);
tuple_keys!(A QA 0, B QB 1; C QC 2);
tuple_keys!(A QA 0, B QB 1, C QC 2; D QD 3);
