//! A figure in an answer: by a pointer in JSON, or a metric in Prometheus' text.

mod json;
mod prometheus;

use weir_config::model::health::FigureForm;

/// Why there is no figure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FigureError {
    /// Not JSON.
    #[error("the answer is not JSON: {0}")]
    Json(String),
    /// Nothing there.
    #[error("there is nothing at {0:?} in the answer")]
    Missing(String),
    /// Not a number.
    #[error("what is at {0:?} is no number")]
    NoNumber(String),
    /// No such metric.
    #[error("there is no metric {0:?} with all its labels in the answer")]
    NoMetric(String),
    /// More than one, which differ.
    #[error("{0:?} has several values with these labels: name more labels")]
    Several(String),
    /// Nothing that could be a weight.
    #[error("the figure is {0}, which is not from 0 on")]
    Negative(String),
}

/// The figure, in thousandths.
pub fn read(body: &[u8], form: &FigureForm) -> Result<u64, FigureError> {
    let value = match form {
        FigureForm::Json(pointer) => json::read(body, pointer)?,
        FigureForm::Prometheus { metric, labels } => prometheus::read(body, metric, labels)?,
    };
    if !value.is_finite() || value < 0.0 {
        return Err(FigureError::Negative(value.to_string()));
    }
    // As large as it gets, which a cast does.
    Ok((value * 1000.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_thousandths() {
        let form = FigureForm::Json("/a".to_owned());
        for (text, figure) in [
            (r#"{"a": 1.2345}"#, Ok(1235)),
            (r#"{"a": 0}"#, Ok(0)),
            (r#"{"a": 1e300}"#, Ok(u64::MAX)),
            (r#"{"a": -1}"#, Err(FigureError::Negative("-1".to_owned()))),
        ] {
            assert_eq!(read(text.as_bytes(), &form), figure, "{text}");
        }
    }
}
