//! What C must see as Rust does: the places and sizes of fields, the numbers of enums and
//! constants. The test here writes them as assertions, which `tests/capi` compiles with the header.
//!
//! Which items there are is read off the header, by `tests/layout.rs`; no number is kept by hand.

use std::fmt::Write;
use std::path::Path;

fn size_of_field<S, F>(_: fn(&S) -> &F) -> usize {
    size_of::<F>()
}

fn same(text: &mut String, c: &str, number: impl Into<i128>) {
    let number = number.into();
    // The lowest number has no literal in C.
    let number = if number == i128::from(i64::MIN) {
        format!("(-{} - 1)", i64::MAX)
    } else {
        number.to_string()
    };
    writeln!(text, "SAME({c}, {number});").unwrap();
}

fn size(number: usize) -> i128 {
    i128::try_from(number).unwrap()
}

macro_rules! layout {
    (
        constants { $($constant_module:ident::$constant:ident,)* }
        enums { $($enum_module:ident::$enum:ident { $($member:ident = $c_member:ident,)* })* }
        structs { $($module:ident::$struct:ident { $($field:ident,)* })* }
    ) => {
        fn assertions(text: &mut String) {
            $(same(text, stringify!($constant), crate::$constant_module::$constant);)*
            $(
                writeln!(text).unwrap();
                same(text, concat!("sizeof(", stringify!($enum), ")"),
                    size(size_of::<crate::$enum_module::$enum>()));
                $(same(text, stringify!($c_member),
                    crate::$enum_module::$enum::$member as i32);)*
            )*
            $(
                writeln!(text).unwrap();
                same(text, concat!("sizeof(", stringify!($struct), ")"),
                    size(size_of::<crate::$module::$struct>()));
                $(
                    same(text,
                        concat!("offsetof(", stringify!($struct), ", ", stringify!($field), ")"),
                        size(std::mem::offset_of!(crate::$module::$struct, $field)));
                    same(text,
                        concat!("SIZE(", stringify!($struct), ", ", stringify!($field), ")"),
                        size(size_of_field(
                            |value: &crate::$module::$struct| &value.$field)));
                )*
            )*
        }
    };
}

include!("layout_items.rs");

const HEAD: &str = "\
/*
 * What the library sees, against what the header says: it compiles, or they differ.
 *
 * Written by `cargo test -p stayline-ffi --lib layout`; do not edit it. A change in here is a
 * change of the binary interface.
 */

#include <stddef.h>

#include <stayline.h>

#define SAME(here, there) extern int stayline_layout_check[(here) == (there) ? 1 : -1]
#define SIZE(type, field) sizeof(((type *)0)->field)

";

#[test]
#[cfg(target_pointer_width = "64")]
fn the_layout_that_c_is_held_to_is_that_of_rust() {
    let mut text = HEAD.to_owned();
    assertions(&mut text);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/capi/layout.c");
    if std::fs::read_to_string(&path).unwrap_or_default() != text {
        std::fs::write(&path, text).unwrap();
        panic!(
            "tests/capi/layout.c was out of date; it has been written anew: look at it, commit it"
        );
    }
}
