"""Cycles, the path tracer of Blender, on the processor, as a rival of the benches."""

import os
import tempfile

import bpy
import mathutils
import numpy

from scene import answer


def make(scene, width, height, bounces, threads):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    stage = bpy.context.scene
    stage.render.engine = "CYCLES"
    stage.render.resolution_x, stage.render.resolution_y = width, height
    stage.render.resolution_percentage = 100
    stage.render.threads_mode, stage.render.threads = "FIXED", threads
    # What is kept from picture to picture keeps the number of samples, too: nothing is.
    stage.render.use_persistent_data = False
    stage.render.image_settings.file_format = "OPEN_EXR"
    stage.render.image_settings.color_depth = "32"
    cycles = stage.cycles
    cycles.device = "CPU"
    # Every sample is taken, and what it brings is neither bounded nor smoothed: as in the others.
    cycles.use_adaptive_sampling = False
    cycles.use_denoising = False
    cycles.sample_clamp_direct = cycles.sample_clamp_indirect = 0.0
    cycles.blur_glossy = 0.0
    cycles.pixel_filter_type, cycles.filter_width = "BOX", 1.0
    # There is one lamp: a tree over lamps would only cost time.
    cycles.use_light_tree = False
    # It counts the bounces after the first scattering.
    cycles.max_bounces = cycles.diffuse_bounces = bounces - 1
    cycles.use_fast_gi = False
    # Without a world there is no light from outside.
    stage.world = None

    world, angle = scene.camera
    camera = bpy.data.cameras.new("camera")
    camera.sensor_fit, camera.angle = "VERTICAL", angle
    camera.clip_start, camera.clip_end = 1e-3, 1e6
    seer = bpy.data.objects.new("camera", camera)
    seer.matrix_world = mathutils.Matrix(world.tolist())
    stage.collection.objects.link(seer)
    stage.camera = seer
    for index, part in enumerate(scene.parts):
        shape = bpy.data.meshes.new(f"part{index}")
        shape.from_pydata(part.positions.tolist(), [], part.triangles.tolist())
        shape.materials.append(material(part, index))
        stage.collection.objects.link(bpy.data.objects.new(f"part{index}", shape))

    def render(samples, seed):
        cycles.samples, cycles.seed = samples, seed
        bpy.ops.render.render()

    # The first picture loads the kernels.
    render(1, 0)
    folder = tempfile.TemporaryDirectory()

    def fetch(_):
        path = os.path.join(folder.name, "picture.exr")
        bpy.data.images["Render Result"].save_render(path, scene=stage)
        image = bpy.data.images.load(path)
        image.colorspace_settings.name = "Linear Rec.709"
        pixels = numpy.empty(width * height * 4, dtype=numpy.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
        # Its lowest row comes first.
        return pixels.reshape(height, width, 4)[::-1, :, :3]

    return f"Cycles of Blender {bpy.app.version_string}", render, fetch


def material(part, index):
    made = bpy.data.materials.new(f"part{index}")
    made.use_nodes = True
    nodes, links = made.node_tree.nodes, made.node_tree.links
    nodes.clear()
    out = nodes.new("ShaderNodeOutputMaterial")
    if max(part.light) == 0:
        scatter = nodes.new("ShaderNodeBsdfDiffuse")
        scatter.inputs["Color"].default_value = (*part.colour, 1.0)
        links.new(scatter.outputs["BSDF"], out.inputs["Surface"])
        return made
    # A lamp shines to the side of its front alone; its other side takes all light.
    light = nodes.new("ShaderNodeEmission")
    strongest = max(part.light)
    light.inputs["Color"].default_value = (*(value / strongest for value in part.light), 1.0)
    light.inputs["Strength"].default_value = strongest
    made.cycles.emission_sampling = "FRONT"
    dark = nodes.new("ShaderNodeBsdfDiffuse")
    dark.inputs["Color"].default_value = (0.0, 0.0, 0.0, 1.0)
    side = nodes.new("ShaderNodeNewGeometry")
    mix = nodes.new("ShaderNodeMixShader")
    links.new(side.outputs["Backfacing"], mix.inputs[0])
    links.new(light.outputs["Emission"], mix.inputs[1])
    links.new(dark.outputs["BSDF"], mix.inputs[2])
    links.new(mix.outputs["Shader"], out.inputs["Surface"])
    return made


if __name__ == "__main__":
    answer(make)
