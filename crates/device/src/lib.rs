//! Device names to burn devices: the only crate that names a backend.
//!
//! Each backend is a cargo feature; the rest of the workspace asks for a device by name and never learns
//! which backend runs.

use burn::tensor::Device;

/// A device by name, compiled in or not.
struct Known {
    name: &'static str,
    feature: &'static str,
    about: &'static str,
    open: Option<fn() -> Result<Device, String>>,
}

/// Every device name, first the default one.
const KNOWN: [Known; 4] = [
    Known {
        name: "cpu",
        feature: "flex",
        about: "the processor, by burn's pure Rust backend",
        #[cfg(feature = "flex")]
        open: Some(|| Ok(Device::flex())),
        #[cfg(not(feature = "flex"))]
        open: None,
    },
    Known {
        name: "ndarray",
        feature: "ndarray",
        about: "the processor, by burn's older backend; slower, kept for comparison",
        #[cfg(feature = "ndarray")]
        open: Some(ndarray),
        #[cfg(not(feature = "ndarray"))]
        open: None,
    },
    Known {
        name: "wgpu",
        feature: "wgpu",
        about: "a GPU of any vendor, by Vulkan, Metal or DirectX",
        #[cfg(feature = "wgpu")]
        open: Some(wgpu),
        #[cfg(not(feature = "wgpu"))]
        open: None,
    },
    Known {
        name: "cuda",
        feature: "cuda",
        about: "an NVIDIA GPU, by CUDA",
        #[cfg(feature = "cuda")]
        open: Some(cuda),
        #[cfg(not(feature = "cuda"))]
        open: None,
    },
];

/// Why a device cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// No device has this name.
    #[error("--device {given}: there is no device of this name\n  expected: one of {}\n  to do: choose one of them", names().join(", "))]
    Unknown {
        /// The name given.
        given: String,
    },
    /// The device is known, but its backend is not in this build.
    #[error("--device {name}: this build does not contain it\n  expected: one of {}\n  to do: build again with `cargo run --release --features {feature} -- …`", available().join(", "))]
    NotCompiled {
        /// The name given.
        name: &'static str,
        /// The cargo feature that brings it.
        feature: &'static str,
    },
    /// The backend is there, but the machine has no such device, or its driver is missing.
    #[error(
        "--device {name}: this machine has no such device: {problem}\n  expected: a GPU with a working driver\n  to do: install the driver (on Debian without a GPU: mesa-vulkan-drivers), or use --device cpu"
    )]
    Absent {
        /// The name given.
        name: &'static str,
        /// What the backend said.
        problem: String,
    },
}

/// All device names, compiled in or not.
pub fn names() -> Vec<&'static str> {
    KNOWN.iter().map(|known| known.name).collect()
}

/// The names of the devices that this build contains.
pub fn available() -> Vec<&'static str> {
    KNOWN.iter().filter(|known| known.open.is_some()).map(|known| known.name).collect()
}

/// Each device's name and what it is.
pub fn about() -> Vec<(&'static str, &'static str)> {
    KNOWN.iter().map(|known| (known.name, known.about)).collect()
}

/// Opens the device `name`, without autodiff: `open(name)?.autodiff()` is what training needs.
///
/// # Errors
/// When the name is unknown, not in this build, or the machine has no such device.
pub fn open(name: &str) -> Result<Device, DeviceError> {
    let known = KNOWN
        .iter()
        .find(|known| known.name == name)
        .ok_or_else(|| DeviceError::Unknown { given: name.to_owned() })?;
    let open = known.open.ok_or(DeviceError::NotCompiled { name: known.name, feature: known.feature })?;
    open().map_err(|problem| DeviceError::Absent { name: known.name, problem })
}

/// The device that weights are drawn on, whichever they are trained on: the processor, where the build has it,
/// so that one seed gives one network everywhere. Otherwise the first device of the build.
///
/// # Errors
/// When the build contains no device, or the only one is not in the machine.
pub fn host() -> Result<Device, DeviceError> {
    open(available().first().copied().unwrap_or("cpu"))
}

/// ndarray is deprecated by burn in favour of flex; it stays because users ask for it by name.
#[cfg(feature = "ndarray")]
#[allow(deprecated)]
fn ndarray() -> Result<Device, String> {
    Ok(Device::ndarray())
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Result<Device, String> {
    probe(|| Device::wgpu(burn::tensor::DeviceKind::DefaultDevice))
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Device, String> {
    probe(|| Device::cuda(0))
}

/// Opens a device and adds two numbers on it. The backends panic where a driver is missing; here that is
/// an answer, not an accident.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn probe(open: impl FnOnce() -> Device + std::panic::UnwindSafe) -> Result<Device, String> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let opened = std::panic::catch_unwind(|| {
        let device = open();
        let sum = burn::tensor::Tensor::<1>::ones([2], &device).sum().into_scalar::<f32>();
        (device, sum)
    });
    std::panic::set_hook(hook);
    match opened {
        Ok((device, sum)) if sum == 2.0 => Ok(device),
        Ok((_, sum)) => Err(format!("it adds 1 and 1 to {sum}")),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(text.unwrap_or("its driver failed").lines().next().unwrap_or_default().to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let message = open("gpu").unwrap_err().to_string();
        assert!(message.contains("cpu, ndarray, wgpu, cuda"), "{message}");
    }

    #[test]
    fn every_known_device_opens_or_says_what_to_do() {
        for name in names() {
            match open(name) {
                Ok(device) => assert!(!device.is_autodiff()),
                Err(error) => assert!(error.to_string().contains("to do:"), "{error}"),
            }
        }
    }
}
