# What rhdf5 and hdf5r read of h5ad files; see readers.py. Debian: r-bioc-rhdf5, r-cran-hdf5r.
suppressMessages({library(rhdf5); library(hdf5r)})
tell <- function(reader, file, index, var, labels, x, obs) {
  cat(reader, file, "first", index[1], "ids", sum(utf8ToInt(paste(var$feature_id, collapse = "|"))),
      "names", sum(utf8ToInt(paste(var$feature_name, collapse = "|"))), "types", sum(nchar(labels)),
      "X", length(x$data), sum(x$data), sum(as.numeric(x$indices)), "obs", paste(obs, collapse = "|"), "\n")
}
of_labels <- function(column) {
  if (is.list(column)) column$categories[column$codes + 1] else column
}
for (file in commandArgs(TRUE)) {
  var <- h5read(file, "var", bit64conversion = "double")
  obs <- h5read(file, "obs", bit64conversion = "double")
  whole <- h5read(file, "/", bit64conversion = "double")
  tell("rhdf5", file, whole$var[["_index"]], var, of_labels(var$feature_type), h5read(file, "X"),
       head(of_labels(obs$cell_type), 3))
  opened <- H5File$new(file, "r")
  read <- function(path) opened[[path]][]
  type <- opened[["var/feature_type"]]
  labels <- if (inherits(type, "H5Group")) read("var/feature_type/categories")[read("var/feature_type/codes") + 1] else type[]
  tell("hdf5r", file, read("var/_index"), list(feature_id = read("var/feature_id"), feature_name = read("var/feature_name")),
       labels, list(data = read("X/data"), indices = read("X/indices")),
       head(read("obs/cell_type/categories")[read("obs/cell_type/codes") + 1], 3))
  opened$close_all()
}
