//! Settings, by the names of `docs/settings.md`.

use std::mem::MaybeUninit;

use serde_json::{Map, Value, json};
use stayline::lock::Mutex;
use stayline::{Error, Settings};

use crate::boundary::{self, Guard, Object, object, required};
use crate::error::{OutError, stayline_status};
use crate::text::{stayline_buffer, stayline_view};

/// Every bound and every delay. Made with the defaults, changed one by one, and copied by whatever
/// takes it: changing it later changes nothing that is open.
pub struct stayline_settings(boundary::Handle<Mutex<Settings>>);
object!(stayline_settings, "settings", Mutex<Settings>);

/// A copy of what was given; the defaults for NULL.
pub(crate) fn copied(settings: Option<&stayline_settings>) -> Result<Settings, Error> {
    let copied = boundary::copied(settings, |settings| settings.lock().clone())?;
    Ok(copied.unwrap_or_default())
}

/// An object for the caller.
pub(crate) fn boxed(settings: Settings) -> Box<stayline_settings> {
    stayline_settings::boxed(&Guard::new(), Mutex::new(settings))
}

/// Makes settings with every default of `docs/settings.md`.
///
/// - `out_settings`: yours; free it with `stayline_settings_free`.
///
/// Returns:
/// - `OK`
/// - `INVALID_ARGUMENT`: `out_settings` is NULL.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_settings_new(
    out_settings: Option<&mut MaybeUninit<Option<Box<stayline_settings>>>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_settings = required(out_settings, "out_settings");
    boundary::run(out_error, || {
        out_settings?.set(Some(boxed(Settings::default())));
        Ok(())
    })
}

/// Sets one by its name.
///
/// - `name`: a name of `docs/settings.md`: `disconnect_grace_ms`.
/// - `value`: JSON: `20000`, `null`, `"drop_oldest"`, `["heartbeat"]`.
///
/// Returns:
/// - `OK`
/// - `INVALID_ARGUMENT`: no such setting, or a value of another shape; the message says which
///   shape it has. Nothing is changed.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_settings_set(
    settings: *mut stayline_settings,
    name: stayline_view,
    value: stayline_view,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(settings, out_error, |settings| {
        let (name, text) = (name.text("name")?, value.text("value")?);
        let value: Value = serde_json::from_str(text).map_err(|error| {
            Error::invalid(format!("the value {text:?} of setting {name} is no JSON: {error}"))
        })?;
        Ok(settings.lock().set(name, &value)?)
    })
}

/// Reads one by its name.
///
/// - `out_value`: JSON; yours, free it with `stayline_buffer_free`.
///
/// Returns:
/// - `OK`
/// - `INVALID_ARGUMENT`: no such setting.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_settings_get(
    settings: Option<&stayline_settings>,
    name: stayline_view,
    out_value: Option<&mut MaybeUninit<stayline_buffer>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_value = required(out_value, "out_value");
    boundary::on(settings, out_error, |settings| {
        let out_value = out_value?;
        let name = name.text("name")?;
        let value = settings.lock().get(name);
        let value = value.ok_or_else(|| Error::invalid(format!("there is no setting {name:?}")))?;
        out_value.set(stayline_buffer::of(&value.to_string())?);
        Ok(())
    })
}

/// Reads all of them.
///
/// - `out_json`: a JSON object with every name; yours, free it with `stayline_buffer_free`.
///
/// Returns `OK`, or `INVALID_ARGUMENT` for NULLs. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_settings_json(
    settings: Option<&stayline_settings>,
    out_json: Option<&mut MaybeUninit<stayline_buffer>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_json = required(out_json, "out_json");
    boundary::on(settings, out_error, |settings| {
        let out_json = out_json?;
        let settings = settings.lock();
        let names = Settings::table().into_iter().map(|row| row.name);
        let all: Map<String, Value> = names
            .filter_map(|name| settings.get(name).map(|value| (name.to_owned(), value)))
            .collect();
        out_json.set(stayline_buffer::of(&Value::Object(all).to_string())?);
        Ok(())
    })
}

/// Checks that no two of them contradict each other (R24). Whatever takes settings does it too.
///
/// Returns:
/// - `OK`
/// - `INVALID_SETTINGS`: the fields `first` and `second` name them.
/// - `INVALID_ARGUMENT`: a value that makes no sense alone.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_settings_check(
    settings: Option<&stayline_settings>,
    out_error: OutError<'_>,
) -> stayline_status {
    boundary::on(settings, out_error, |settings| Ok(settings.lock().check()?))
}

/// What settings there are.
///
/// - `out_json`: a JSON array of `{name, about, shape, default}`; yours, free it with
///   `stayline_buffer_free`.
///
/// Returns `OK`, or `INVALID_ARGUMENT` when `out_json` is NULL. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_settings_table(
    out_json: Option<&mut MaybeUninit<stayline_buffer>>,
    out_error: OutError<'_>,
) -> stayline_status {
    let out_json = required(out_json, "out_json");
    boundary::run(out_error, || {
        let out_json = out_json?;
        let rows: Vec<Value> = Settings::table()
            .into_iter()
            .map(|row| {
                json!({
                    "name": row.name, "about": row.about, "shape": row.shape,
                    "default": row.default,
                })
            })
            .collect();
        out_json.set(stayline_buffer::of(&Value::Array(rows).to_string())?);
        Ok(())
    })
}

/// Frees settings; NULL is fine.
///
/// Threads: any; nobody else may be using them.
#[unsafe(no_mangle)]
pub extern "C" fn stayline_settings_free(settings: Option<Box<stayline_settings>>) {
    drop(settings);
}
