"""A forward model of immunofluorescence fields: specimen, cells, staining, optics, camera, file."""

from hep2lib.simulator.writing import write_database

__all__ = ["write_database"]
