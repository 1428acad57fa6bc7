//! Which secrets sign before, during and after a rotation.

use domain::time::HOUR_MS;
use serde_json::{Value as Json, json};

use super::*;
use crate::testing::World;

/// Which secrets a post is signed with: `X-Selgeo-Signature`'s, then `webhook-signature`'s.
#[track_caller]
fn signers(world: &World, made: &Made, secrets: &[(&str, &str)]) -> String {
    ping(world, made);
    world.run_lanes();
    let post = world.receivers.received().pop().unwrap();
    let of = |is: &dyn Fn(&str) -> bool| -> String {
        secrets.iter().filter(|(_, secret)| is(secret)).map(|(name, _)| *name).collect::<Vec<_>>().join("+")
    };
    let count = post.header("webhook-signature").split(' ').count();
    assert_eq!(post.header("x-selgeo-signature").matches("v1=").count(), 1);
    format!(
        "{}; {} of {count}",
        of(&|secret| is_signed_by(&post, secret)),
        of(&|secret| is_standard_signed_by(&post, secret))
    )
}

#[test]
fn a_rotation_keeps_the_old_secret_beside_the_new_until_its_overlap_ends() {
    let world = World::new();
    for (body, hours) in
        [(json!(null), 24), (json!({}), 24), (json!({"overlap_hours": 72}), 72), (json!({"overlap_hours": 1}), 1)]
    {
        let made = endpoint(&world, HOOK, &["*"]);
        let old = made.secret.as_str();
        let rotated = act(&world, &made, "rotate", body);
        let began = world.now();
        assert_eq!(rotated.status, 200, "{}", rotated.body);
        let new = rotated.text("/secret");
        assert_ne!(new, old);
        let until = began.plus_ms(hours * HOUR_MS);
        assert_eq!(rotated.text("/previous_secret_until"), until.to_string());
        let both = [("old", old), ("new", new.as_str())];
        assert_eq!(signers(&world, &made, &both), "old; old+new of 4");
        assert_eq!(act(&world, &made, "rotate", json!({})).summary(), "409 CONFLICT");
        world.pass_ms(until.ms() - world.now().ms() - 1_500);
        assert_eq!(signers(&world, &made, &both), "old; old+new of 4", "half a second before its end");
        world.pass_ms(500 - 1_000);
        assert_eq!(world.now(), until.plus_ms(-1_000));
        assert_eq!(signers(&world, &made, &both), "new; new of 2", "at its end");
        assert_eq!(shown(&world, &made)["previous_secret_until"], Json::Null);
        // And on to the next.
        let third = act(&world, &made, "rotate", json!({"overlap_hours": 0})).text("/secret");
        let all = [("old", old), ("new", &new), ("third", &third)];
        assert_eq!(signers(&world, &made, &all), "third; third of 2");
        world.api(&format!("DELETE /api/v1/webhook-endpoints/{}", made.id), json!(null));
    }
}

#[test]
fn switching_now_ends_the_overlap() {
    let world = World::new();
    let made = endpoint(&world, HOOK, &["*"]);
    assert_eq!(act(&world, &made, "switch", json!(null)).status, 200, "nothing to switch is no error");
    let old = made.secret.as_str();
    let new = act(&world, &made, "rotate", json!(null)).text("/secret");
    let both = [("old", old), ("new", new.as_str())];
    assert_eq!(signers(&world, &made, &both), "old; old+new of 4");
    let switched = act(&world, &made, "switch", json!(null));
    assert_eq!((switched.status.as_u16(), &switched.body["previous_secret_until"]), (200, &Json::Null));
    assert_eq!(switched.body["secret"], Json::Null, "a secret is shown once");
    assert_eq!(signers(&world, &made, &both), "new; new of 2");
    assert_eq!(act(&world, &made, "rotate", json!(null)).status, 200);
}
