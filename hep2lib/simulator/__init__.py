"""A forward model of immunofluorescence fields: specimen, cells, staining, optics, camera, file."""
