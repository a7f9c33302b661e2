//! Decodes PNG images whose size was bounded from their headers; every other format is refused by name.

use std::io::Cursor;

use gltf_json::Index;
use gltf_json::buffer::View;
use png::{BitDepth, ColorType, Decoder, Limits, Transformations};

use super::accessor::Source;
use super::container::{bounded, to_u64};
use super::reject::{ImageReject, SceneReject};
use crate::rendering::limits;
use crate::rendering::scene::Image;

/// What the decoder may hold beside the picture: rows, chunks, its window.
const DECODER_BYTES: usize = 16 << 20;

/// The bytes that all images take once they are decoded; reads headers only.
pub(super) fn count(source: Source<'_>, images: &[usize]) -> Result<u64, SceneReject> {
    let mut total = 0_u64;
    for index in images {
        let (width, height) = size(bytes(source, *index)?).map_err(|why| refused(*index, why))?;
        total = total.saturating_add(pixels(width, height).saturating_mul(4));
        // REN-10: a bomb is refused by the size in its header, before a byte of it is inflated.
        bounded("bytes of images", total, limits::IMAGE_BYTES_MAX)?;
    }
    Ok(total)
}

/// Decodes every image.
pub(super) fn read(source: Source<'_>, images: &[usize]) -> Result<Vec<Image>, SceneReject> {
    images.iter().map(|index| decoded(bytes(source, *index)?).map_err(|why| refused(*index, why))).collect()
}

fn refused(image: usize, why: ImageReject) -> SceneReject {
    SceneReject::Image { image: to_u64(image), why }
}

fn pixels(width: u32, height: u32) -> u64 {
    u64::from(width).saturating_mul(u64::from(height))
}

fn bytes<'a>(source: Source<'a>, index: usize) -> Result<&'a [u8], SceneReject> {
    let image = source.get(&source.root.images, "image", index)?;
    let view: Index<View> = image.buffer_view.ok_or_else(|| refused(index, ImageReject::Elsewhere))?;
    let bytes = source.view(view, to_u64(index))?;
    // REN-11: the bytes say what they are, whatever the file says of them.
    let format = match bytes {
        [0x89, b'P', b'N', b'G', ..] => return Ok(bytes),
        [0xff, 0xd8, 0xff, ..] => "JPEG",
        [0xab, b'K', b'T', b'X', ..] => "KTX texture",
        [b'R', b'I', b'F', b'F', ..] => "WebP",
        _ => "file of an unknown format",
    };
    Err(refused(index, ImageReject::Format(format.to_owned())))
}

fn decoder(bytes: &[u8]) -> Decoder<Cursor<&[u8]>> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: DECODER_BYTES });
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder
}

fn png(error: &png::DecodingError) -> ImageReject {
    ImageReject::Png(error.to_string().chars().take(100).collect())
}

fn size(bytes: &[u8]) -> Result<(u32, u32), ImageReject> {
    let mut decoder = decoder(bytes);
    let (width, height) = decoder.read_header_info().map_err(|error| png(&error))?.size();
    let side = u64::from(width.max(height));
    if side > limits::IMAGE_SIDE_MAX {
        return Err(ImageReject::Side { side, max: limits::IMAGE_SIDE_MAX });
    }
    Ok((width, height))
}

fn decoded(bytes: &[u8]) -> Result<Image, ImageReject> {
    let (width, height) = size(bytes)?;
    let mut reader = decoder(bytes).read_info().map_err(|error| png(&error))?;
    let length = reader.output_buffer_size().ok_or_else(|| ImageReject::Png("its size overflows".to_owned()))?;
    let mut raw = vec![0; length];
    let frame = reader.next_frame(&mut raw).map_err(|error| png(&error))?;
    if frame.bit_depth != BitDepth::Eight || (frame.width, frame.height) != (width, height) {
        return Err(ImageReject::Png("its pixels are not of eight bits".to_owned()));
    }
    let pixels = match frame.color_type {
        ColorType::Grayscale => raw.iter().map(|grey| [*grey, *grey, *grey, 255]).collect(),
        ColorType::GrayscaleAlpha => raw.as_chunks().0.iter().map(|[grey, a]| [*grey, *grey, *grey, *a]).collect(),
        ColorType::Rgb => raw.as_chunks().0.iter().map(|[r, g, b]| [*r, *g, *b, 255]).collect(),
        ColorType::Rgba => raw.as_chunks::<4>().0.to_vec(),
        ColorType::Indexed => return Err(ImageReject::Png("its palette was not expanded".to_owned())),
    };
    Ok(Image { width, height, pixels })
}
