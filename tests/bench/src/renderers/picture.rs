//! Pictures of light: their errors, their differences, and a sheet of them for people.

use anyhow::Result;
use cpc_kernels::rendering::picture::png;

/// The side of the squares whose means are compared: noise goes, and what one renderer does otherwise stays.
const SQUARE: u32 = 16;
/// The difference that is shown in full colour.
const SHOWN: f32 = 0.1;
/// Pixels between the pictures of a sheet.
const GAP: u32 = 8;

/// The light of every pixel of a square picture, row by row from the top.
#[derive(Clone)]
pub(super) struct Picture {
    pub(super) side: u32,
    pub(super) pixels: Vec<[f32; 3]>,
}

impl Picture {
    pub(super) fn black(side: u32) -> Self {
        Self { side, pixels: vec![[0.0; 3]; (side * side) as usize] }
    }

    /// Whether it has all its pixels, and each is a light.
    pub(super) fn is_whole(&self) -> bool {
        let light = |value: &f32| value.is_finite() && *value >= 0.0;
        self.pixels.len() == (self.side * self.side) as usize && self.pixels.as_flattened().iter().all(light)
    }

    /// Adds a share of another one.
    pub(super) fn add(&mut self, other: &Self, share: f32) {
        for (own, other) in self.pixels.as_flattened_mut().iter_mut().zip(other.pixels.as_flattened()) {
            *own += other * share;
        }
    }

    /// The mean over pixels and channels of (x - t)^2 / (t^2 + 0.01).
    pub(super) fn relative_square(&self, truth: &Self) -> f64 {
        let pairs = self.pixels.as_flattened().iter().zip(truth.pixels.as_flattened());
        let squares = pairs.map(|(x, t)| {
            let (x, t) = (f64::from(*x), f64::from(*t));
            (x - t).powi(2) / (t * t + 0.01)
        });
        squares.sum::<f64>() / self.pixels.as_flattened().len() as f64
    }

    /// The mean difference of the light of squares, as a share of the light.
    pub(super) fn difference(&self, other: &Self) -> f64 {
        let (a, b) = (self.squares(), other.squares());
        let light: f64 = b.iter().sum();
        a.iter().zip(&b).map(|(a, b)| (a - b).abs()).sum::<f64>() / light
    }

    /// The sums of all channels, square by square.
    fn squares(&self) -> Vec<f64> {
        let across = self.side.div_ceil(SQUARE);
        let mut sums = vec![0.0; (across * across * 3) as usize];
        for (index, pixel) in (0..).zip(&self.pixels) {
            let (column, row) = (index % self.side / SQUARE, index / self.side / SQUARE);
            for (channel, value) in (0..).zip(pixel) {
                sums[((row * across + column) * 3 + channel) as usize] += f64::from(*value);
            }
        }
        sums
    }

    /// Bytes of sRGB, what is above one cut off.
    fn seen(&self) -> Vec<[u8; 3]> {
        self.pixels.iter().map(|pixel| pixel.map(byte)).collect()
    }

    /// Where this one is brighter than the other, red; where it is darker, blue; where both are equal, grey.
    fn beside(&self, other: &Self) -> Vec<[u8; 3]> {
        let light = |[r, g, b]: [f32; 3]| r * 0.2126 + g * 0.7152 + b * 0.0722;
        let pairs = self.pixels.iter().zip(&other.pixels);
        let share = pairs.map(|(a, b)| ((light(*a) - light(*b)) / (light(*b) + 0.01) / SHOWN).clamp(-1.0, 1.0));
        let channel = |value: f32| (127.5 + 127.5 * value).round() as u8;
        share.map(|share| [channel(share), channel(-share.abs()), channel(-share)]).collect()
    }
}

fn byte(light: f32) -> u8 {
    let light = light.clamp(0.0, 1.0);
    let curved = if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
    (curved * 255.0).round() as u8
}

/// A PNG file: the pictures side by side, and under each but the first its difference from the first.
pub(super) fn sheet(pictures: &[&Picture]) -> Result<Vec<u8>> {
    let side = pictures[0].side;
    let step = side + GAP;
    let (width, height) = (step * pictures.len() as u32 - GAP, step + side);
    let mut all = vec![[255; 3]; (width * height) as usize];
    let mut paste = |pixels: &[[u8; 3]], column: u32, row: u32| {
        for (line, pixels) in (0..).zip(pixels.chunks_exact(side as usize)) {
            let begin = ((row * step + line) * width + column * step) as usize;
            all[begin..begin + side as usize].copy_from_slice(pixels);
        }
    };
    for (column, picture) in (0..).zip(pictures) {
        paste(&picture.seen(), column, 0);
        if column > 0 {
            paste(&picture.beside(pictures[0]), column, 1);
        }
    }
    Ok(png(width, height, &all)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(value: f32) -> Picture {
        Picture { side: 32, pixels: vec![[value; 3]; 1_024] }
    }

    #[test]
    fn errors_and_differences_are_shares_of_the_light() {
        let (one, more) = (flat(1.0), flat(1.1));
        assert!((more.relative_square(&one) - 0.01 / 1.01).abs() < 1e-6);
        assert!((more.difference(&one) - 0.1).abs() < 1e-6);
        let mut mean = Picture::black(32);
        mean.add(&one, 0.5);
        mean.add(&more, 0.5);
        assert!((mean.difference(&one) - 0.05).abs() < 1e-6);
    }

    #[test]
    fn what_is_brighter_is_red_and_what_is_equal_is_grey() {
        assert_eq!(flat(1.2).beside(&flat(1.0))[0], [255, 0, 0]);
        assert_eq!(flat(0.5).beside(&flat(1.0))[0], [0, 0, 255]);
        assert_eq!(flat(1.0).beside(&flat(1.0))[0], [128, 128, 128]);
        assert!(!Picture { side: 2, pixels: vec![[1.0; 3]; 3] }.is_whole());
        assert!(!flat(f32::NAN).is_whole());
    }
}
