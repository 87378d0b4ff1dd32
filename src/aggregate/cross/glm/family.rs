//! What is modelled: the mean of a response as a function of a linear predictor η, and the likelihood of the response.
//!
//! Formulas, bounds and starting values are those of R's `binomial()` and `poisson()` (see McCullagh and Nelder, "Generalized
//! Linear Models", 1989).

use crate::error::{Error, ErrorKind, Result};

/// Means and their slopes are this or more, as R has it.
const LEAST: f64 = f64::EPSILON;
/// Beyond ±30, the slope of the logistic curve is taken as `LEAST`.
const FAR: f64 = 30.0;

/// The distribution of a response, with its canonical link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Of 0 and 1; the logarithm of the odds is linear.
    Logistic,
    /// Counts; the logarithm of the mean is linear.
    Poisson,
}

/// What a row gives to a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Working {
    /// The response that is regressed on the terms.
    pub(super) response: f64,
    /// Its weight.
    pub(super) weight: f64,
    /// Twice the log-likelihood that the row lacks to the best.
    pub(super) deviance: f64,
}

impl Family {
    const ALL: [Family; 2] = [Family::Logistic, Family::Poisson];

    /// What users call the regression.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Family::Logistic => "logistic",
            Family::Poisson => "poisson",
        }
    }

    /// The family of the regression that users call `name`.
    pub(crate) fn find(name: &str) -> Option<Self> {
        Family::ALL.into_iter().find(|family| family.name().eq_ignore_ascii_case(name))
    }

    /// The mean where the linear predictor is `eta`.
    pub(in super::super) fn mean(self, eta: f64) -> f64 {
        match self {
            Family::Logistic => 1.0 / (1.0 + libm::exp(-eta)),
            Family::Poisson => libm::exp(eta),
        }
    }

    /// Whether a response can be such.
    pub(super) fn check(self, response: f64) -> Result<()> {
        let (fits, takes, hint) = match self {
            Family::Logistic => (
                response == 0.0 || response == 1.0,
                "a response of 0 and 1",
                "a condition is such a response: logistic(ArrDelay > 15, DepDelay)",
            ),
            Family::Poisson => {
                (response >= 0.0, "a response of counts, 0 or more", "`where` leaves negative values out")
            }
        };
        if fits {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Value, format!("`{}` takes {takes}, and one is {response}", self.name())).hint(hint))
    }

    /// Before there is a fit, the linear predictor of a row.
    pub(super) fn start(self, response: f64, weight: f64) -> f64 {
        match self {
            Family::Logistic => {
                let mean = (weight * response + 0.5) / (weight + 1.0);
                libm::log(mean / (1.0 - mean))
            }
            Family::Poisson => libm::log(response + 0.1),
        }
    }

    pub(super) fn working(self, response: f64, weight: f64, eta: f64) -> Working {
        match self {
            Family::Logistic => {
                let below = libm::exp(-eta.abs());
                // The mean and what it lacks to 1, neither of them rounded away.
                let (near, far) = (1.0 / (1.0 + below), below / (1.0 + below));
                let (mean, rest) = if eta < 0.0 { (far, near) } else { (near, far) };
                let slope = if eta.abs() > FAR { LEAST } else { (mean * rest).max(LEAST) };
                let error = if response == 1.0 { rest } else { -mean };
                // −2 log p of what was observed.
                let against = if response == 1.0 { -eta } else { eta };
                let deviance = 2.0 * weight * (against.max(0.0) + libm::log1p(below));
                Working { response: eta + error / slope, weight: weight * slope, deviance }
            }
            Family::Poisson => {
                let mean = libm::exp(eta).max(LEAST);
                let lacking = if response == 0.0 { 0.0 } else { response * libm::log(response / mean) };
                let deviance = 2.0 * weight * (lacking - (response - mean));
                Working { response: eta + (response - mean) / mean, weight: weight * mean, deviance }
            }
        }
    }

    /// What the deviance of a model without terms, and the likelihood of the best one, are computed from.
    pub(super) fn constants(self, response: f64, weight: f64) -> (f64, f64) {
        match self {
            Family::Logistic => (0.0, 0.0),
            Family::Poisson => {
                let saturated = if response == 0.0 { 0.0 } else { response * libm::log(response) };
                let factorial = libm::lgamma(response + 1.0);
                let whole = if response.fract() == 0.0 { 0.0 } else { f64::NAN };
                (weight * saturated, weight * (factorial - saturated + response) + whole)
            }
        }
    }

    /// The deviance of the mean alone, or without intercept of the linear predictor 0; from sums over all rows of weights,
    /// weighted responses, and of the first of `constants`.
    pub(super) fn null_deviance(self, intercept: bool, weights: f64, responses: f64, saturated: f64) -> f64 {
        let mean = responses / weights;
        let part = |sum: f64, mean: f64| if sum == 0.0 { 0.0 } else { sum * libm::log(mean) };
        2.0 * match (self, intercept) {
            (Family::Logistic, true) => 0.0 - part(responses, mean) - part(weights - responses, 1.0 - mean),
            (Family::Logistic, false) => weights * std::f64::consts::LN_2,
            (Family::Poisson, true) => (saturated - part(responses, mean)).max(0.0),
            (Family::Poisson, false) => saturated - responses + weights,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviances_and_slopes_hold_their_digits_far_out() {
        for eta in [-700.0, -40.0, -3.0, 0.0, 0.5, 29.0, 40.0] {
            for response in [0.0, 1.0] {
                let own = Family::Logistic.working(response, 2.0, eta);
                let chance = Family::Logistic.mean(if response == 1.0 { eta } else { -eta });
                if chance > 1e-300 {
                    assert!((own.deviance + 4.0 * chance.ln()).abs() <= 1e-13 * own.deviance.max(1.0), "{eta}");
                }
                assert!(own.weight > 0.0 && own.response.is_finite(), "{eta}");
            }
        }
        let far = Family::Logistic.working(1.0, 1.0, 36.0);
        assert!((far.deviance / (2.0 * (-36.0_f64).exp()) - 1.0).abs() < 1e-12, "{far:?}");
        let count = Family::Poisson.working(3.0, 1.0, 3.0_f64.ln());
        assert!(count.deviance.abs() < 1e-14 && (count.weight - 3.0).abs() < 1e-14);
        assert_eq!(Family::Poisson.working(0.0, 2.0, 0.0), Working { response: -1.0, weight: 2.0, deviance: 4.0 });
    }

    #[test]
    fn responses_are_checked() {
        assert!(Family::Logistic.check(1.0).is_ok() && Family::Poisson.check(2.5).is_ok());
        for (family, wrong) in [(Family::Logistic, 0.5), (Family::Logistic, 2.0), (Family::Poisson, -1.0)] {
            assert_eq!(family.check(wrong).unwrap_err().kind(), ErrorKind::Value);
        }
    }
}
