//! Questions to the DNS, one at a time, for a program that does one thing at a time.

pub use crate::dns::Answer;
use std::net::IpAddr;

pub struct Dns {
    runtime: tokio::runtime::Runtime,
    names: crate::dns::Dns,
}

impl Dns {
    pub fn new() -> Result<Dns, String> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        let names = {
            let _inside = runtime.enter();
            crate::dns::Dns::new(false)
        };
        Ok(Dns { runtime, names })
    }

    /// Preferences and names; the name of a null MX is "".
    pub fn mx(&self, name: &str) -> Answer<(u16, String)> {
        self.runtime.block_on(self.names.mx(name))
    }

    pub fn addresses(&self, name: &str, v6: bool) -> Answer<IpAddr> {
        let names = &self.names;
        self.runtime.block_on(async { if v6 { names.aaaa(name).await } else { names.a(name).await } })
    }
}
