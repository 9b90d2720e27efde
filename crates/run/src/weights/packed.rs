//! Weights that take less room: whole numbers of few bits, and zeros that are left out.
//!
//! A safetensors file like any other, in which such a weight stands in pieces, all bytes but the scales:
//!
//! | piece | holds |
//! |---|---|
//! | `NAME:codes` | codes of b bits each, with their sign, one behind the other |
//! | `NAME:scales` | the scales, bfloat16 where that loses nothing, else float32 |
//! | `NAME:zeros` | the zero points, one per scale, packed like codes; absent where codes are symmetric about 0 |
//! | `NAME:places` | a bit per value of the weight: whether it is other than 0 |
//! | `NAME:values` | the float32 values that are other than 0 |
//!
//! Where there are places, codes or values are those of these places alone. What stands under its own name is bfloat16 where
//! that loses nothing, and its own type elsewhere. The remark `packed` of the file says,
//! as JSON, which sizes, bits and scales each such weight has. How a weight is stored follows from its values:
//! as few bits as its codes need, and places where they save bytes.

use std::collections::{BTreeMap, HashMap};

use burn::tensor::{DType, TensorData};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::bits::{pack, unpack, width};
use super::quantized::{Codes, Sharing};

const REMARK: &str = "packed";

/// A weight as a file holds it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stored {
    /// Value by value.
    Plain(TensorData),
    /// Float32 values, most often 0.
    Sparse(TensorData),
    /// Codes with scales.
    Quantized(Codes),
}

impl Stored {
    /// How values that are not quantized are best stored.
    pub(crate) fn of(data: TensorData) -> Self {
        let sparse = data.rank() > 1 && data.dtype() == DType::F32 && {
            let zeros = words(&data).filter(|word| *word == 0).count();
            2 * zeros >= data.num_elements()
        };
        if sparse { Self::Sparse(data) } else { Self::Plain(data) }
    }

    /// The weight's sizes.
    pub(crate) fn shape(&self) -> Vec<usize> {
        match self {
            Self::Plain(data) | Self::Sparse(data) => data.shape().to_vec(),
            Self::Quantized(codes) => codes.shape.clone(),
        }
    }
}

/// Float32 values by their bits: −0 is another value than 0.
fn words(data: &TensorData) -> impl Iterator<Item = u32> {
    data.bytes().as_chunks::<4>().0.iter().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// What the remark says of a weight.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    shape: Vec<usize>,
    /// Bits of a code; absent where there are floats.
    #[serde(skip_serializing_if = "Option::is_none")]
    bits: Option<u32>,
    /// Which codes share a scale; absent where there are floats.
    #[serde(skip_serializing_if = "Option::is_none")]
    scale: Option<Sharing>,
    /// Whether there are places.
    sparse: bool,
    /// Bits of a zero point; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zeros: Option<u32>,
}

/// A tensor of the file.
struct Piece {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Piece {
    fn new(name: &str, piece: &str, dtype: Dtype, bytes: Vec<u8>) -> Self {
        let count = bytes.len() * 8 / dtype.bitsize();
        Self { name: format!("{name}:{piece}"), dtype, shape: vec![count], bytes }
    }
}

/// The bytes of a file that holds `weights`.
///
/// # Errors
/// When a weight is of a type that such files do not hold.
pub(crate) fn write(weights: &BTreeMap<String, Stored>) -> Result<Vec<u8>, String> {
    let mut pieces = Vec::new();
    let mut forms = BTreeMap::new();
    for (name, weight) in weights {
        match weight {
            Stored::Plain(data) => pieces.push(plain(name, data)?),
            Stored::Sparse(data) => {
                let values = words(data).filter(|word| *word != 0).flat_map(u32::to_le_bytes).collect();
                pieces.push(Piece::new(
                    name,
                    "places",
                    Dtype::U8,
                    pack(words(data).map(|word| i8::from(word != 0)), 1),
                ));
                pieces.push(Piece::new(name, "values", Dtype::F32, values));
                let form =
                    Form { shape: data.shape().to_vec(), bits: None, scale: None, sparse: true, zeros: None };
                forms.insert(name, form);
            }
            Stored::Quantized(codes) => {
                forms.insert(name, write_codes(name, codes, &mut pieces));
            }
        }
    }
    let views: Result<Vec<_>, safetensors::SafeTensorError> = pieces
        .iter()
        .map(|piece| {
            Ok((piece.name.as_str(), TensorView::new(piece.dtype, piece.shape.clone(), &piece.bytes)?))
        })
        .collect();
    let forms = serde_json::to_string(&forms).map_err(|error| error.to_string())?;
    // One remark alone: several would come in an order that changes from run to run.
    let remarks = HashMap::from([(REMARK.to_owned(), forms)]);
    let written = views.and_then(|views| safetensors::serialize(views, Some(remarks)));
    written.map_err(|error| error.to_string())
}

fn plain(name: &str, data: &TensorData) -> Result<Piece, String> {
    let (name, shape) = (name.to_owned(), data.shape().to_vec());
    if data.dtype() == DType::F32
        && let Some(bytes) = bfloat16(words(data))
    {
        return Ok(Piece { name, dtype: Dtype::BF16, shape, bytes });
    }
    match stored_type(data.dtype()) {
        Some(dtype) => Ok(Piece { name, dtype, shape, bytes: data.bytes().to_vec() }),
        None => Err(format!("`{name}` holds {:?}", data.dtype())),
    }
}

/// Float32 values, by their bits, as bfloat16; none where that would lose something.
fn bfloat16(words: impl Iterator<Item = u32>) -> Option<Vec<u8>> {
    let high = |word: u32| (word & 0xffff == 0).then(|| ((word >> 16) as u16).to_le_bytes());
    words.map(high).collect::<Option<Vec<[u8; 2]>>>().map(|halves| halves.concat())
}

/// The float32 values of bfloat16 numbers.
fn of_bfloat16(bytes: &[u8]) -> Vec<f32> {
    let value = |bytes: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
    bytes.as_chunks::<2>().0.iter().map(value).collect()
}

fn write_codes(name: &str, weight: &Codes, pieces: &mut Vec<Piece>) -> Form {
    let codes = &weight.codes;
    let bits = width(codes);
    let held = codes.iter().filter(|code| **code != 0).count();
    let sparse = codes.len() + held * (bits as usize) < codes.len() * bits as usize;
    if sparse {
        pieces.push(Piece::new(
            name,
            "places",
            Dtype::U8,
            pack(codes.iter().map(|code| i8::from(*code != 0)), 1),
        ));
    }
    let stored = codes.iter().copied().filter(|code| !sparse || *code != 0);
    pieces.push(Piece::new(name, "codes", Dtype::U8, pack(stored, bits)));
    let (dtype, scales) = match bfloat16(weight.scales.iter().map(|scale| scale.to_bits())) {
        Some(halves) => (Dtype::BF16, halves),
        None => (Dtype::F32, weight.scales.iter().flat_map(|scale| scale.to_le_bytes()).collect()),
    };
    pieces.push(Piece::new(name, "scales", dtype, scales));
    let zeros = (!weight.zero_points.is_empty()).then(|| width(&weight.zero_points));
    if let Some(bits) = zeros {
        let points = pack(weight.zero_points.iter().copied(), bits);
        pieces.push(Piece::new(name, "zeros", Dtype::U8, points));
    }
    Form { shape: weight.shape.clone(), bits: Some(bits), scale: Some(weight.sharing), sparse, zeros }
}

/// The weights of a packed file; `None` for one that is not packed.
///
/// # Errors
/// When the file is damaged.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<BTreeMap<String, Stored>>, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let Some(remark) = header.metadata().as_ref().and_then(|remarks| remarks.get(REMARK)) else {
        return Ok(None);
    };
    let forms: BTreeMap<String, Form> =
        serde_json::from_str(remark).map_err(|error| format!("the remark `{REMARK}`: {error}"))?;
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let mut weights = BTreeMap::new();
    for (name, view) in file.iter() {
        if name.rsplit_once(':').is_some_and(|(weight, _)| forms.contains_key(weight)) {
            continue;
        }
        let dtype = held_type(view.dtype()).ok_or_else(|| format!("`{name}` holds {:?}", view.dtype()))?;
        let data = match dtype {
            DType::BF16 => TensorData::new(of_bfloat16(view.data()), view.shape().to_vec()),
            _ => TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), dtype),
        };
        weights.insert(name.to_owned(), Stored::Plain(data));
    }
    for (name, form) in forms {
        let weight =
            read_form(&file, &name, &form).ok_or_else(|| format!("the pieces of `{name}` do not fit"))?;
        weights.insert(name, weight);
    }
    Ok(Some(weights))
}

/// Puts a weight together; `None` if its pieces do not fit each other.
fn read_form(file: &SafeTensors<'_>, name: &str, form: &Form) -> Option<Stored> {
    let piece = |piece: &str| file.tensor(&format!("{name}:{piece}")).ok();
    let count = form.shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size))?;
    let places = match form.sparse {
        true => Some(unpack(piece("places")?.data(), 1, count)?),
        false => None,
    };
    let held = places.as_ref().map_or(count, |places| places.iter().filter(|place| **place != 0).count());
    match form.bits {
        Some(bits) => {
            let codes = spread(unpack(piece("codes")?.data(), bits, held)?, places);
            let scales = piece("scales")?;
            let scales: Vec<f32> = match scales.dtype() {
                Dtype::BF16 => of_bfloat16(scales.data()),
                Dtype::F32 => floats(scales.data()),
                _ => return None,
            };
            let zero_points = match form.zeros {
                Some(bits) => unpack(piece("zeros")?.data(), bits, scales.len())?,
                None => Vec::new(),
            };
            let codes = Codes { shape: form.shape.clone(), codes, scales, zero_points, sharing: form.scale? };
            codes.is_whole().then_some(Stored::Quantized(codes))
        }
        None => {
            let values = floats(piece("values")?.data());
            let fits = values.len() == held;
            fits.then(|| Stored::Sparse(TensorData::new(spread(values, places), form.shape.clone())))
        }
    }
}

/// Puts values at their places, zeros elsewhere.
fn spread<T: Default>(values: Vec<T>, places: Option<Vec<i8>>) -> Vec<T> {
    let Some(places) = places else { return values };
    let mut values = values.into_iter();
    places
        .iter()
        .map(|place| if *place == 0 { T::default() } else { values.next().unwrap_or_default() })
        .collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// The numbers of a network as the file calls them.
fn stored_type(held: DType) -> Option<Dtype> {
    TYPES.iter().find(|(known, _)| *known == held).map(|(_, stored)| *stored)
}

/// The numbers of a file as burn calls them.
fn held_type(stored: Dtype) -> Option<DType> {
    TYPES.iter().find(|(_, known)| *known == stored).map(|(held, _)| *held)
}

const TYPES: [(DType, Dtype); 7] = [
    (DType::F64, Dtype::F64),
    (DType::F32, Dtype::F32),
    (DType::F16, Dtype::F16),
    (DType::BF16, Dtype::BF16),
    (DType::I64, Dtype::I64),
    (DType::I32, Dtype::I32),
    (DType::U8, Dtype::U8),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(weight: Stored) -> Vec<u8> {
        write(&BTreeMap::from([("layer.weight".to_owned(), weight)])).unwrap()
    }

    fn column(codes: Vec<i8>, scales: Vec<f32>, sharing: Sharing) -> Stored {
        Stored::Quantized(Codes { shape: vec![codes.len(), 1], codes, scales, zero_points: vec![], sharing })
    }

    /// Bytes of all tensors of a file, its header aside.
    fn payload(bytes: &[u8]) -> usize {
        let (header, _) = SafeTensors::read_metadata(bytes).unwrap();
        bytes.len() - header - 8
    }

    #[test]
    fn three_and_four_bits_take_three_and_four_bits() {
        for (largest, bits) in [(3, 3), (7, 4), (127, 8)] {
            let codes: Vec<i8> =
                (0..800).map(|index| if index % 2 == 0 { largest } else { -largest }).collect();
            // Scales of bfloat16: two bytes for each of 25 blocks.
            let bytes = file(column(codes, vec![0.5; 25], Sharing::Group(32)));
            assert_eq!(payload(&bytes), 800 * bits / 8 + 2 * 25);
        }
    }

    #[test]
    fn zeros_cost_a_bit() {
        let values: Vec<f32> = (0..800).map(|index| if index % 5 == 0 { 0.3 } else { 0.0 }).collect();
        let data = TensorData::new(values, [8, 100]);
        let sparse = Stored::of(data.clone());
        assert_eq!(sparse, Stored::Sparse(data));
        assert_eq!(payload(&file(sparse)), 800 / 8 + 160 * 4);
        let codes: Vec<i8> = (0..800).map(|index| if index % 5 == 0 { 7 } else { 0 }).collect();
        assert_eq!(payload(&file(column(codes, vec![0.1], Sharing::Tensor))), 800 / 8 + 160 / 2 + 4);
        // A file of values that are not 0 is one of float32.
        assert!(matches!(Stored::of(TensorData::new(vec![-0.0_f32; 4], [2, 2])), Stored::Plain(_)));
        assert!(matches!(Stored::of(TensorData::new(vec![0.0_f32; 4], [4])), Stored::Plain(_)));
    }

    #[test]
    fn a_damaged_file_is_told_from_one_that_is_not_packed() {
        let good = file(column(vec![1, 2, 3, 4], vec![1.0, 2.0], Sharing::Group(2)));
        let spoiled = |from: &str, to: &str| {
            let position = good.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
            let mut bytes = good.clone();
            bytes[position..position + to.len()].copy_from_slice(to.as_bytes());
            read(&bytes)
        };
        assert!(read(&good).unwrap().is_some());
        for (from, to) in [("\\\"bits\\\":4", "\\\"bits\\\":8"), ("[4,1]", "[5,1]"), (":scales", ":scalez")] {
            assert!(spoiled(from, to).is_err(), "{from} {to}");
        }
        assert!(read(b"nothing of the kind").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_to_the_bit(
            rows in 1_usize..6,
            columns in 1_usize..6,
            codes in prop::collection::vec(-127_i8..=127, 36),
            mut values in prop::collection::vec(-1.0_f32..1.0, 36),
            zeros in prop::collection::vec(any::<bool>(), 36),
        ) {
            let count = rows * columns;
            for (value, zero) in values.iter_mut().zip(zeros) {
                *value = if zero { 0.0 } else { *value };
            }
            let scales: Vec<f32> = values.iter().take(rows).map(|value| value.abs() + 0.1).collect();
            let weights = BTreeMap::from([
                ("codes".to_owned(), Stored::Quantized(Codes {
                    shape: vec![rows, columns],
                    codes: codes[..count].to_vec(),
                    zero_points: if rows % 2 == 0 { codes[..rows].to_vec() } else { Vec::new() },
                    scales,
                    sharing: Sharing::Axis(0),
                })),
                ("values".to_owned(), Stored::of(TensorData::new(values[..count].to_vec(), [rows, columns]))),
                ("bias".to_owned(), Stored::Plain(TensorData::new(vec![1_i64, 2], [2]))),
            ]);
            let bytes = write(&weights).unwrap();
            prop_assert_eq!(&write(&weights).unwrap(), &bytes);
            prop_assert_eq!(read(&bytes).unwrap().unwrap(), weights);
        }
    }
}
