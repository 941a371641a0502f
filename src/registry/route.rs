//! Which places are asked for one thing, and in which order.

use crate::oci::reference::Reference;
use crate::registry::endpoint::Endpoint;
use crate::registry::settings::RegistryRule;

/// The places that may be asked for one thing, and the one that is asked now.
#[derive(Debug)]
pub(super) struct Route {
    places: Vec<Endpoint>,
    at: usize,
}

impl Route {
    /// The mirrors by the registry's rule, then the registry itself unless the rule forbids it. Mirrors
    /// that are `avoided` are left out where anybody else can be asked.
    pub(super) fn new(
        reference: &Reference,
        rule: Option<&RegistryRule>,
        avoided: impl Fn(&Endpoint) -> bool,
    ) -> Self {
        let mirrors = rule.map_or(&[][..], |rule| &rule.mirrors);
        let mut places: Vec<Endpoint> =
            mirrors.iter().map(|mirror| Endpoint::mirror(mirror, reference)).collect();
        if places.is_empty() || rule.is_none_or(|rule| rule.fallback) {
            places.push(Endpoint::origin(reference));
        }
        if places.iter().any(|place| !avoided(place)) {
            places.retain(|place| !avoided(place));
        }
        Self { places, at: 0 }
    }

    /// Whom to ask now.
    pub(super) fn place(&self) -> &Endpoint {
        &self.places[self.at]
    }

    /// Goes on to the next place; `false` if this is the last one.
    pub(super) fn advance(&mut self) -> bool {
        let has_next = self.at + 1 < self.places.len();
        self.at += usize::from(has_next);
        has_next
    }

    /// All have failed: the registry is asked again, or, where it may not be, everybody.
    pub(super) fn again(&mut self) {
        if self.place().stands_for().is_some() {
            self.at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::endpoint::Mirror;

    fn hosts(fallback: bool, mirrors: &[&str], avoided: &[&str]) -> Vec<String> {
        let mirrors = mirrors.iter().map(|host| Mirror::parse(&format!("https://{host}")).unwrap());
        let rule = RegistryRule { mirrors: mirrors.collect(), fallback, ..RegistryRule::default() };
        let reference = "r.example/a:1".parse().unwrap();
        let mut route =
            Route::new(&reference, Some(&rule), |place| avoided.contains(&place.host()));
        let mut hosts = vec![route.place().host().to_owned()];
        while route.advance() {
            hosts.push(route.place().host().to_owned());
        }
        route.again();
        hosts.push(route.place().host().to_owned());
        hosts
    }

    #[test]
    fn the_registry_is_asked_last_and_then_again() {
        let hosts = hosts(true, &["a.example", "b.example"], &[]);
        assert_eq!(hosts, ["a.example", "b.example", "r.example", "r.example"]);
    }

    #[test]
    fn without_fallback_the_mirrors_take_turns() {
        let both = hosts(false, &["a.example", "b.example"], &[]);
        assert_eq!(both, ["a.example", "b.example", "a.example"]);
        assert_eq!(hosts(false, &[], &[]), ["r.example", "r.example"]);
    }

    #[test]
    fn an_avoided_mirror_is_asked_only_if_nobody_else_is_left() {
        let rest = hosts(true, &["a.example", "b.example"], &["a.example"]);
        assert_eq!(rest, ["b.example", "r.example", "r.example"]);
        assert_eq!(hosts(false, &["a.example"], &["a.example"]), ["a.example", "a.example"]);
    }
}
