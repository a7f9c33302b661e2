//! From light to the eight bits of a picture, in whole numbers: a tone curve, then sRGB.

use super::trace::vector::Vec3;
use crate::numerics::float::{clamp, to_u32};

/// One, in the fixed point of this file.
const ONE: i64 = 1 << 24;
/// Light beyond this is as bright as this.
const BRIGHTEST: f32 = 64.0;

// REN-29: the curve leaves colours below 0.76 as they are, less what a surface reflects of white, and presses the rest.
/// The pixel for a colour of light.
pub(crate) fn pixel(light: Vec3) -> [u8; 3] {
    let fixed = |value: f32| i64::from(to_u32(clamp(value, 0.0, BRIGHTEST) * 16_777_216.0));
    let colour = [fixed(light.x), fixed(light.y), fixed(light.z)];
    pressed(colour).map(byte)
}

#[allow(clippy::arithmetic_side_effects, reason = "every value is below 2^31, so no product of two reaches 2^62")]
fn pressed(colour: [i64; 3]) -> [i64; 3] {
    let start = ONE * 76 / 100;
    let room = ONE - start;
    let least = colour[0].min(colour[1]).min(colour[2]);
    let toe = ONE * 8 / 100;
    let offset = if least < toe { least - least * least / ONE * 25 / 4 } else { toe / 2 };
    let colour = colour.map(|value| value - offset);
    let peak = colour[0].max(colour[1]).max(colour[2]);
    if peak < start {
        return colour;
    }
    let pressed = ONE - room * room / (peak + room - start);
    // The brighter, the nearer to white.
    let whiteness = ONE - ONE * ONE / ((peak - pressed) * 15 / 100 + ONE);
    colour.map(|value| {
        let value = value * pressed / peak;
        (value * (ONE - whiteness) + pressed * whiteness) / ONE
    })
}

/// The byte of sRGB that stands for a value.
fn byte(value: i64) -> u8 {
    let bytes = BEGINNINGS.partition_point(|beginning| i64::from(*beginning) <= value);
    u8::try_from(bytes).expect("there are 255 beginnings")
}

/// Where the bytes from 1 to 255 begin: half way between the light of each and of the one before, in sRGB's curve.
const BEGINNINGS: [u32; 255] = [
    2_547, 7_639, 12_731, 17_824, 22_916, 28_008, 33_101, 38_193, 43_285, 48_378, 53_491, 58_876, 64_565, 70_561,
    76_871, 83_498, 90_447, 97_722, 105_327, 113_267, 121_546, 130_167, 139_135, 148_453, 158_125, 168_156, 178_548,
    189_305, 200_431, 211_930, 223_804, 236_058, 248_694, 261_717, 275_129, 288_933, 303_133, 317_732, 332_734,
    348_140, 363_955, 380_181, 396_822, 413_880, 431_358, 449_259, 467_586, 486_342, 505_530, 525_152, 545_212,
    565_711, 586_653, 608_041, 629_877, 652_163, 674_903, 698_099, 721_753, 745_868, 770_447, 795_492, 821_005,
    846_990, 873_448, 900_382, 927_794, 955_687, 984_063, 1_012_925, 1_042_275, 1_072_114, 1_102_447, 1_133_274,
    1_164_598, 1_196_421, 1_228_746, 1_261_575, 1_294_910, 1_328_753, 1_363_106, 1_397_972, 1_433_353, 1_469_251,
    1_505_668, 1_542_606, 1_580_067, 1_618_054, 1_656_568, 1_695_611, 1_735_186, 1_775_295, 1_815_940, 1_857_122,
    1_898_844, 1_941_107, 1_983_914, 2_027_267, 2_071_168, 2_115_618, 2_160_620, 2_206_175, 2_252_286, 2_298_954,
    2_346_181, 2_393_970, 2_442_321, 2_491_238, 2_540_721, 2_590_773, 2_641_395, 2_692_590, 2_744_359, 2_796_704,
    2_849_626, 2_903_129, 2_957_212, 3_011_879, 3_067_131, 3_122_970, 3_179_398, 3_236_415, 3_294_025, 3_352_228,
    3_411_027, 3_470_424, 3_530_419, 3_591_015, 3_652_213, 3_714_016, 3_776_424, 3_839_440, 3_903_065, 3_967_301,
    4_032_149, 4_097_611, 4_163_690, 4_230_385, 4_297_700, 4_365_635, 4_434_193, 4_503_375, 4_573_182, 4_643_617,
    4_714_680, 4_786_374, 4_858_699, 4_931_659, 5_005_253, 5_079_484, 5_154_353, 5_229_862, 5_306_012, 5_382_806,
    5_460_243, 5_538_327, 5_617_058, 5_696_439, 5_776_469, 5_857_152, 5_938_489, 6_020_480, 6_103_129, 6_186_435,
    6_270_401, 6_355_028, 6_440_317, 6_526_270, 6_612_889, 6_700_175, 6_788_129, 6_876_753, 6_966_049, 7_056_017,
    7_146_659, 7_237_977, 7_329_972, 7_422_645, 7_515_999, 7_610_034, 7_704_751, 7_800_153, 7_896_240, 7_993_014,
    8_090_476, 8_188_628, 8_287_471, 8_387_007, 8_487_237, 8_588_162, 8_689_783, 8_792_103, 8_895_122, 8_998_841,
    9_103_263, 9_208_388, 9_314_218, 9_420_754, 9_527_998, 9_635_950, 9_744_612, 9_853_986, 9_964_073, 10_074_874,
    10_186_390, 10_298_623, 10_411_574, 10_525_244, 10_639_635, 10_754_748, 10_870_584, 10_987_145, 11_104_431,
    11_222_445, 11_341_187, 11_460_658, 11_580_861, 11_701_796, 11_823_464, 11_945_867, 12_069_007, 12_192_883,
    12_317_498, 12_442_853, 12_568_949, 12_695_787, 12_823_368, 12_951_695, 13_080_767, 13_210_587, 13_341_155,
    13_472_472, 13_604_541, 13_737_362, 13_870_936, 14_005_265, 14_140_350, 14_276_191, 14_412_791, 14_550_150,
    14_688_270, 14_827_152, 14_966_796, 15_107_205, 15_248_379, 15_390_320, 15_533_029, 15_676_506, 15_820_754,
    15_965_773, 16_111_564, 16_258_129, 16_405_469, 16_553_585, 16_702_478,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(light: [f32; 3], expected: [u8; 3]) {
        assert_eq!(pixel(Vec3::from_array(light)), expected);
    }

    #[test]
    fn darkness_and_glare_have_their_ends() {
        check([0.0; 3], [0; 3]);
        check([-1.0, f32::NEG_INFINITY, 0.0], [0; 3]);
        check([1.0e30; 3], [255, 255, 255]);
        check([f32::NAN, 0.0, 0.0], [0; 3]);
    }

    #[test]
    fn greys_rise() {
        let mut last = 0;
        for step in 0..10_000_u32 {
            let light = crate::numerics::float::from_u32(step) * 0.001;
            let [r, g, b] = pixel(Vec3::splat(light));
            assert!(r == g && g == b && r >= last, "{light}");
            last = r;
        }
        assert!(last > 250);
    }

    #[test]
    fn colours_keep_their_order() {
        let [r, g, b] = pixel(Vec3::new(20.0, 2.0, 0.5));
        assert!(r > g && g > b);
    }

    #[test]
    fn the_beginnings_are_those_of_srgb() {
        for (byte, beginning) in (1_u32..=255).zip(BEGINNINGS) {
            let c = (f64::from(byte) - 0.5) / 255.0;
            let light = if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
            assert!((f64::from(beginning) - light * 16_777_216.0).abs() <= 1.0, "{byte}");
        }
    }
}
