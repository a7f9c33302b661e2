//! Reads materials, and finds which images they need.

use std::collections::BTreeMap;

use gltf_json::material::{AlphaMode, Material as FileMaterial};
use gltf_json::texture::{Info, MagFilter, Sampler, WrappingMode};
use gltf_json::validation::Checked;
use gltf_json::{Index, Texture};

use super::accessor::Source;
use super::container::to_u64;
use super::reject::SceneReject;
use crate::rendering::limits;
use crate::rendering::scene::{Filter, Map, Material, Sides, Wrap};
use crate::rendering::trace::vector::Vec3;

/// The materials of a scene, and after them the one of glTF for primitives that name none.
pub(super) struct Palette {
    pub(super) materials: Vec<Material>,
    /// The file's indices of the images that materials use; ours is the position in this list.
    pub(super) images: Vec<usize>,
}

/// Gathers the images while the materials are read.
struct Gatherer<'a> {
    source: Source<'a>,
    images: Vec<usize>,
    ours: BTreeMap<usize, u32>,
}

impl Palette {
    pub(super) fn of(source: Source<'_>) -> Result<Self, SceneReject> {
        let mut gatherer = Gatherer { source, images: Vec::new(), ours: BTreeMap::new() };
        let mut materials = Vec::with_capacity(source.root.materials.len().saturating_add(1));
        for (index, material) in source.root.materials.iter().enumerate() {
            materials.push(gatherer.material(material, index)?);
        }
        materials.push(gatherer.material(&FileMaterial::default(), materials.len())?);
        Ok(Self { materials, images: gatherer.images })
    }

    /// Our index of the file's material.
    pub(super) fn index(&self, material: Option<usize>) -> Result<u32, SceneReject> {
        let last = self.materials.len().saturating_sub(1);
        let index = material.unwrap_or(last);
        if index >= last && material.is_some() {
            return Err(SceneReject::Dangling { what: "material", index: to_u64(index), count: to_u64(last) });
        }
        Ok(u32::try_from(index).expect("the materials are bounded"))
    }
}

impl Gatherer<'_> {
    fn material(&mut self, file: &FileMaterial, index: usize) -> Result<Material, SceneReject> {
        let within = |what: &'static str, values: &[f32], max: f32| {
            let fits = values.iter().all(|value| (0.0..=max).contains(value));
            let bound = format!("[0, {max}]");
            fits.then_some(()).ok_or(SceneReject::Number { what, holder: "material", index: to_u64(index), bound })
        };
        let pbr = &file.pbr_metallic_roughness;
        let base = pbr.base_color_factor.0;
        within("the base colour", &base, 1.0)?;
        let (metallic, roughness) = (pbr.metallic_factor.0, pbr.roughness_factor.0);
        within("the metallic factor", &[metallic], 1.0)?;
        within("the roughness", &[roughness], 1.0)?;
        let extensions = file.extensions.as_ref();
        let strength = extensions.and_then(|e| e.emissive_strength.as_ref()).map_or(1.0, |e| e.emissive_strength.0);
        let emission = Vec3::from_array(file.emissive_factor.0.map(|value| value * strength));
        within("the emission", &emission.to_array(), limits::INTENSITY_MAX)?;
        let ior = extensions.and_then(|e| e.ior.as_ref()).map_or(1.5, |e| e.ior.0);
        if !(1.0..=10.0).contains(&ior) {
            let (holder, bound) = ("material", "[1, 10]".to_owned());
            return Err(SceneReject::Number { what: "the refraction", holder, index: to_u64(index), bound });
        }
        let transmission = extensions.and_then(|e| e.transmission.as_ref());
        if transmission.is_some_and(|t| t.transmission_texture.is_some()) {
            return Err(SceneReject::Unsupported("a texture of transmission".to_owned()));
        }
        let transmission = transmission.map_or(0.0, |t| t.transmission_factor.0);
        within("the transmission", &[transmission], 1.0)?;
        let specular = extensions.and_then(|e| e.specular.as_ref());
        if specular.is_some_and(|s| s.specular_texture.is_some() || s.specular_color_texture.is_some()) {
            return Err(SceneReject::Unsupported("a texture of reflection".to_owned()));
        }
        let specular = specular.map_or(1.0, |s| s.specular_factor.0);
        within("the reflection", &[specular], 1.0)?;
        let cutoff = match file.alpha_mode {
            Checked::Valid(AlphaMode::Opaque) => None,
            Checked::Valid(AlphaMode::Mask) => Some(file.alpha_cutoff.map_or(0.5, |cutoff| cutoff.0)),
            _ => return Err(SceneReject::Unsupported("a blended material".to_owned())),
        };
        within("the alpha cutoff", &[cutoff.unwrap_or(0.0)], 1.0)?;
        let normal = file.normal_texture.as_ref();
        let normal_scale = normal.map_or(1.0, |normal| normal.scale);
        within("the scale of the normals", &[normal_scale], 100.0)?;
        Ok(Material {
            base: Vec3::new(base[0], base[1], base[2]),
            base_map: self.info(pbr.base_color_texture.as_ref())?,
            metallic,
            roughness,
            metallic_roughness_map: self.info(pbr.metallic_roughness_texture.as_ref())?,
            normal_map: normal.map(|normal| self.map(normal.index, normal.tex_coord)).transpose()?,
            normal_scale,
            emission,
            emission_map: self.info(file.emissive_texture.as_ref())?,
            transmission,
            ior,
            specular,
            sides: if file.double_sided { Sides::Both } else { Sides::Front },
            cutoff,
            alpha: base[3],
        })
    }

    fn info(&mut self, info: Option<&Info>) -> Result<Option<Map>, SceneReject> {
        info.map(|info| self.map(info.index, info.tex_coord)).transpose()
    }

    fn map(&mut self, texture: Index<Texture>, set: u32) -> Result<Map, SceneReject> {
        if set != 0 {
            return Err(SceneReject::Unsupported("a second set of texture coordinates".to_owned()));
        }
        let root = self.source.root;
        let texture = self.source.get(&root.textures, "texture", texture.value())?;
        let image = texture.source.value();
        self.source.get(&root.images, "image", image)?;
        let next = u32::try_from(self.images.len()).expect("the images are bounded");
        let ours = *self.ours.entry(image).or_insert(next);
        if ours == next {
            self.images.push(image);
        }
        let sampler = texture.sampler.map(|index| self.source.get(&root.samplers, "sampler", index.value()));
        let sampler = sampler.transpose()?;
        let nearest = matches!(sampler.and_then(|s| s.mag_filter), Some(Checked::Valid(MagFilter::Nearest)));
        let wrap = |mode: fn(&Sampler) -> Checked<WrappingMode>| match sampler.map(mode) {
            Some(Checked::Valid(WrappingMode::ClampToEdge)) => Wrap::Clamp,
            Some(Checked::Valid(WrappingMode::MirroredRepeat)) => Wrap::Mirror,
            _ => Wrap::Repeat,
        };
        Ok(Map {
            image: ours,
            wrap: [wrap(|sampler| sampler.wrap_s), wrap(|sampler| sampler.wrap_t)],
            filter: if nearest { Filter::Nearest } else { Filter::Linear },
        })
    }
}
