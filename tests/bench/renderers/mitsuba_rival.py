"""Mitsuba 3 in its LLVM mode, as a rival of the benches: its path integrator over Embree's trees."""

import os
import pathlib

os.environ["DRJIT_LIBLLVM_PATH"] = str(pathlib.Path(os.environ["CPC_RENDERERS"]) / "llvm" / "libLLVM.so")

import drjit
import mitsuba
import numpy

from scene import answer

mitsuba.set_variant("llvm_ad_rgb")


def make(scene, width, height, bounces, threads):
    drjit.set_thread_count(threads)
    world, angle = scene.camera
    # Its cameras look along the third axis, with the first one to the left.
    world = world @ numpy.diag([-1.0, 1.0, -1.0, 1.0])
    description = {
        "type": "scene",
        # A path of so many scatterings has one segment more; ours ends by chance from the fourth bounce on, too.
        "integrator": {"type": "path", "max_depth": bounces + 1, "rr_depth": 4},
        "sensor": {
            "type": "perspective",
            "fov": float(numpy.degrees(angle)),
            "fov_axis": "y",
            "to_world": mitsuba.ScalarTransform4f(world),
            "sampler": {"type": "multijitter", "sample_count": 16},
            "film": {
                "type": "hdrfilm",
                "width": width,
                "height": height,
                "rfilter": {"type": "box"},
                "pixel_format": "rgb",
                "component_format": "float32",
            },
        },
    }
    for index, part in enumerate(scene.parts):
        description[f"part{index}"] = mesh(part, index)
    loaded = mitsuba.load_dict(description)

    def render(samples, seed):
        picture = mitsuba.render(loaded, spp=samples, seed=seed)
        drjit.eval(picture)
        drjit.sync_thread()
        return picture

    # The first picture compiles the kernels.
    render(4, 0)
    name = f"Mitsuba {mitsuba.__version__}, {mitsuba.variant()}, LLVM {drjit.detail.llvm_version()}"
    return name, render, lambda picture: numpy.array(picture)[:, :, :3]


def mesh(part, index):
    properties = mitsuba.Properties()
    scatter = {"type": "diffuse", "reflectance": {"type": "rgb", "value": list(part.colour)}}
    properties["bsdf"] = mitsuba.load_dict({"type": "twosided", "bsdf": scatter})
    if max(part.light) > 0:
        # Lamps shine to the side of their front alone, as ours do.
        properties["emitter"] = mitsuba.load_dict({"type": "area", "radiance": {"type": "rgb", "value": list(part.light)}})
    made = mitsuba.Mesh(f"part{index}", len(part.positions), len(part.triangles), has_vertex_normals=False, props=properties)
    parameters = mitsuba.traverse(made)
    parameters["vertex_positions"] = part.positions.ravel()
    parameters["faces"] = part.triangles.ravel()
    parameters.update()
    return made


if __name__ == "__main__":
    answer(make)
