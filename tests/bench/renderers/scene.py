"""Reads the scene that all renderers are given: the binary glTF file that our renderer reads, too.

Only what a diffuse box needs is read: triangles, colours that only scatter, lamps, one camera, and the transforms of the
nodes. Anything else stops the run, so that no renderer can leave it out in silence.
"""

import json
import struct
import sys
import time

import numpy


class Part:
    """Triangles of one material, in the world."""

    def __init__(self, positions, triangles, colour, light):
        self.positions = positions
        self.triangles = triangles
        self.colour = colour
        self.light = light


class Scene:
    """What is rendered."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data)), "a binary glTF file"
        size = struct.unpack_from("<I", data, 12)[0]
        self.json = json.loads(data[20:20 + size])
        self.bytes = data[28 + size:]
        for kind in ("textures", "images", "animations", "skins"):
            assert not self.json.get(kind), f"{kind} are not exported"
        environment = self.json["scenes"][0].get("extras", {}).get("environment")
        assert environment is None, "an environment is not exported"
        self.parts = []
        self.camera = None
        for root in self.json["scenes"][0]["nodes"]:
            self.walk(root, numpy.eye(4))
        assert self.camera is not None, "a camera"

    def walk(self, index, above):
        node = self.json["nodes"][index]
        assert "KHR_lights_punctual" not in node.get("extensions", {}), "punctual lights are not exported"
        world = above @ local(node)
        if "mesh" in node:
            for primitive in self.json["meshes"][node["mesh"]]["primitives"]:
                self.parts.append(self.part(primitive, world))
        if "camera" in node and self.camera is None:
            self.camera = (world, self.json["cameras"][node["camera"]]["perspective"]["yfov"])
        for child in node.get("children", []):
            self.walk(child, world)

    def part(self, primitive, world):
        positions = self.accessor(primitive["attributes"]["POSITION"]).astype(numpy.float64)
        positions = positions @ world[:3, :3].T + world[:3, 3]
        triangles = self.accessor(primitive["indices"]).reshape(-1, 3).astype(numpy.int32)
        material = self.json["materials"][primitive["material"]]
        extensions = material.get("extensions", {})
        factors = material["pbrMetallicRoughness"]
        assert factors.get("metallicFactor", 1) == 0, "metals are not exported"
        assert extensions["KHR_materials_specular"]["specularFactor"] == 0, "coats are not exported"
        strength = extensions.get("KHR_materials_emissive_strength", {}).get("emissiveStrength", 1.0)
        light = [strength * value for value in material.get("emissiveFactor", [0, 0, 0])]
        return Part(positions.astype(numpy.float32), triangles, factors["baseColorFactor"][:3], light)

    def accessor(self, index):
        accessor = self.json["accessors"][index]
        view = self.json["bufferViews"][accessor["bufferView"]]
        assert "byteStride" not in view, "strides are not exported"
        kind = {5121: "<u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}[accessor["componentType"]]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}[accessor["type"]]
        begin = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        values = numpy.frombuffer(self.bytes, kind, accessor["count"] * width, begin)
        return values.reshape(-1, width) if width > 1 else values


def local(node):
    """The transform of a node."""
    if "matrix" in node:
        return numpy.array(node["matrix"]).reshape(4, 4).T
    x, y, z, w = node.get("rotation", [0, 0, 0, 1])
    rotation = numpy.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])
    matrix = numpy.eye(4)
    matrix[:3, :3] = rotation * numpy.array(node.get("scale", [1, 1, 1]))
    matrix[:3, 3] = node.get("translation", [0, 0, 0])
    return matrix


def answer(make):
    """Answers orders: each line of the input is a number of samples, a seed and a file for the light of every pixel.

    The answer is the seconds that passed and the seconds that the processor worked. Neither holds the writing of the file.
    """
    answers = sys.stdout
    # What the libraries print is no answer.
    sys.stdout = sys.stderr
    path, width, height, bounces, threads = sys.argv[1], *map(int, sys.argv[2:6])
    name, render, fetch = make(Scene(path), width, height, bounces, threads)
    print(name, file=answers, flush=True)
    for line in sys.stdin:
        samples, seed, target = line.rstrip("\n").split("\t")
        work, passed = time.process_time(), time.perf_counter()
        rendered = render(int(samples), int(seed))
        passed, work = time.perf_counter() - passed, time.process_time() - work
        pixels = numpy.ascontiguousarray(fetch(rendered), dtype="<f4")
        assert pixels.shape == (height, width, 3), f"{pixels.shape}"
        pixels.tofile(target)
        print(f"{passed} {work}", file=answers, flush=True)
