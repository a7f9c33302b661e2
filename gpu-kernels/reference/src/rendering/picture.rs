//! Pictures as PNG files, for people: what is hashed are the pixels.

use png::{BitDepth, ColorType, Encoder};

/// A PNG file of rows of three bytes a pixel.
///
/// # Errors
///
/// The pixels are not `width` times `height`.
pub fn png(width: u32, height: u32, pixels: &[[u8; 3]]) -> Result<Vec<u8>, png::EncodingError> {
    encoded(width, height, ColorType::Rgb, pixels.as_flattened())
}

/// A PNG file of the given kind.
pub(crate) fn encoded(width: u32, height: u32, kind: ColorType, bytes: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width, height);
    encoder.set_color(kind);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(bytes)?;
    writer.finish()?;
    Ok(file)
}
