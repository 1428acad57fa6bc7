//! What all tests of the journey share.

use std::ops::{Deref, DerefMut};

use anyhow::Result;
use e2e::{Client, Stage, Stripe};

/// The stage, with what a sale needs beside a page: Stripe, and the merchant's own key.
pub struct Shop {
    pub stripe: Stripe,
    pub api: Client,
    stage: Stage,
}

impl Shop {
    pub fn start() -> Result<Self> {
        let stage = Stage::start()?;
        let server = &stage.server;
        Ok(Self {
            stripe: Stripe::start(&server.url(), &server.dev()["bench"]["stripe"]["test"])?,
            api: Client::new(server.url()).with_key(server.text("/bench/keys/sk_test")?),
            stage,
        })
    }
}

impl Deref for Shop {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl DerefMut for Shop {
    fn deref_mut(&mut self) -> &mut Stage {
        &mut self.stage
    }
}
