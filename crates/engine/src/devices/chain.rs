//! What the system itself shows of a Metis: the PCI card, its driver, its device nodes. Looked at without the
//! runtime, so that an error can say which link of the chain is missing.

use std::{fs, path::Path};

/// Axelera's PCI vendor id.
const VENDOR: &str = "0x1f9d";
/// Name of the kernel module, and the beginning of its nodes' names.
const MODULE: &str = "metis";

/// The links between a card and the runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemChain {
    /// PCI cards of the vendor, as lspci prints them.
    pub pci: Vec<String>,
    /// The driver's row of `/proc/modules`, as lsmod prints it.
    pub module: Option<String>,
    /// The driver's version, where it says one.
    pub driver_version: Option<String>,
    /// Device nodes.
    pub nodes: Vec<String>,
}

impl SystemChain {
    /// Looks at `sys`, `proc` and `dev` below `root` (`/`, but for tests). What cannot be read counts as absent.
    pub fn probe(root: &Path) -> Self {
        Self {
            pci: pci(root),
            module: module(root),
            driver_version: driver_version(root),
            nodes: nodes(root),
        }
    }

    /// Lines for a start-up log.
    pub fn notes(&self) -> Vec<String> {
        let pci = self.pci.iter().map(|card| format!("Found PCI device: {card}"));
        pci.chain(self.module.iter().map(|row| format!("Found AIPU driver: {row}"))).collect()
    }

    /// The first missing link, as the end of a sentence.
    pub fn missing(&self) -> &'static str {
        if self.pci.is_empty() {
            "there is no PCI card of vendor 1f9d in this machine"
        } else if self.module.is_none() {
            "the kernel module metis is not loaded"
        } else if self.nodes.is_empty() {
            "there is no device node /dev/metis-*"
        } else {
            "card, driver and device node are there"
        }
    }

    /// What mends that link.
    pub fn remedy(&self) -> &'static str {
        if self.pci.is_empty() {
            "check that the card sits in its slot (lspci -d 1f9d:); without one use --pipeline transformers or -d sim"
        } else if self.module.is_none() {
            "load the driver with: sudo modprobe metis"
        } else if self.nodes.is_empty() {
            "reload the driver with: sudo modprobe -r metis && sudo modprobe metis"
        } else {
            "check that you may open the node (ls -l /dev/metis-*), or reset the card"
        }
    }
}

fn pci(root: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root.join("sys/bus/pci/devices")) else { return Vec::new() };
    let mut cards: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let read = |file: &str| fs::read_to_string(entry.path().join(file)).ok();
            let id = |text: String| text.trim().trim_start_matches("0x").to_owned();
            if read("vendor")?.trim() != VENDOR {
                return None;
            }
            let address = entry.file_name().to_string_lossy().into_owned();
            // lspci leaves the usual domain out; class 12 is its "Processing accelerators"
            let address = address.strip_prefix("0000:").unwrap_or(&address).to_owned();
            let class = if read("class").is_some_and(|class| class.starts_with("0x12")) {
                "Processing accelerators"
            } else {
                "Device"
            };
            Some(format!("{address} {class}: Device 1f9d:{}", id(read("device")?)))
        })
        .collect();
    cards.sort();
    cards
}

fn module(root: &Path) -> Option<String> {
    let modules = fs::read_to_string(root.join("proc/modules")).ok()?;
    let row = modules.lines().find(|row| row.split(' ').next() == Some(MODULE))?;
    let mut fields = row.split(' ');
    let (name, size, users) = (fields.next()?, fields.next()?, fields.next()?);
    // lsmod's columns
    Some(format!("{name:<19} {size:>8}  {users}"))
}

fn driver_version(root: &Path) -> Option<String> {
    let text = fs::read_to_string(root.join("sys/module").join(MODULE).join("version")).ok()?;
    Some(text.trim().to_owned()).filter(|version| !version.is_empty())
}

fn nodes(root: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root.join("dev")) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut nodes: Vec<_> = names.filter(|name| name.starts_with("metis-")).collect();
    nodes.sort();
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_link_is_named_in_turn() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path();
        let missing = || SystemChain::probe(path).missing();
        assert!(missing().contains("PCI card"));
        let card = path.join("sys/bus/pci/devices/0000:01:00.0");
        fs::create_dir_all(&card).unwrap();
        for (file, text) in [("vendor", "0x1f9d\n"), ("device", "0x1100\n"), ("class", "0x120000\n")] {
            fs::write(card.join(file), text).unwrap();
        }
        assert!(missing().contains("kernel module"));
        fs::create_dir_all(path.join("proc")).unwrap();
        fs::write(path.join("proc/modules"), "snd 1 0 - Live 0x0\nmetis 90112 0 - Live 0x0\n").unwrap();
        assert!(missing().contains("device node"));
        assert_eq!(SystemChain::probe(path).driver_version, None);
        fs::create_dir_all(path.join("sys/module/metis")).unwrap();
        fs::write(path.join("sys/module/metis/version"), "1.6.2\n").unwrap();
        assert_eq!(SystemChain::probe(path).driver_version.as_deref(), Some("1.6.2"));
        fs::create_dir_all(path.join("dev")).unwrap();
        fs::write(path.join("dev/metis-0:1:0"), "").unwrap();
        let chain = SystemChain::probe(path);
        assert!(chain.missing().contains("are there"));
        assert_eq!(
            chain.notes(),
            [
                "Found PCI device: 01:00.0 Processing accelerators: Device 1f9d:1100",
                "Found AIPU driver: metis                  90112  0",
            ]
        );
    }
}
