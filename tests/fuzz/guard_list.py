"""The guards against bad input: each with what takes it out, and the test that must then fail.

(file, the text as it stands, once, in that file; the text without the guard; a test that then fails)
"""

from __future__ import annotations

GUARDS: list[tuple[str, str, str, str]] = [
    # YAML
    (
        "bpcli/config/yaml_reader.py",
        "if len(data) > MAX_BYTES:",
        "if False:",
        "tests/config/test_yaml_tree.py::test_bombs_are_refused_quickly_and_in_little_memory[10 MB text]",
    ),
    (
        "bpcli/config/yaml_reader.py",
        "if len(self._open) > self._max_depth:",
        "if False:",
        "tests/config/test_yaml_tree.py::test_bombs_are_refused_quickly_and_in_little_memory[flow lists]",
    ),
    (
        "bpcli/config/yaml_reader.py",
        "if self._nodes > MAX_NODES:",
        "if False:",
        "tests/config/test_yaml_tree.py::test_bombs_are_refused_quickly_and_in_little_memory[million values]",
    ),
    (
        "bpcli/config/yaml_reader.py",
        "if len(text) > MAX_NUMBER:",
        "if False:",
        "tests/config/test_yaml_tree.py -k error_names_the_line",
    ),
    (
        "bpcli/config/yaml_reader.py",
        "if isinstance(number, float) and math.isinf(number):",
        "if False:",
        "tests/config/test_yaml_tree.py -k error_names_the_line",
    ),
    (
        "bpcli/config/yaml_reader.py",
        "if key in parent.value:",
        "if False:",
        "tests/config/test_yaml_tree.py -k error_names_the_line",
    ),
    (
        "bpcli/config/yaml_reader.py",
        "if isinstance(event, yaml.AliasEvent):\n            self._problem(",
        "if isinstance(event, yaml.AliasEvent):\n            str(",
        "tests/config/test_yaml_tree.py -k error_names_the_line",
    ),
    (
        "bpcli/config/yaml_reader.py",
        'if event.implicit[0] and key == "<<":',
        "if False:",
        "tests/config/test_yaml_tree.py -k error_names_the_line",
    ),
    (
        "bpcli/config/yaml_reader.py",
        'if getattr(event, "tag", None) is not None:',
        "if False:",
        "tests/config/test_yaml_tree.py -k error_names_the_line",
    ),
    (
        "bpcli/config/yaml_reader.py",
        "if self._documents > 1:",
        "if False:",
        "tests/config/test_yaml_tree.py -k error_names_the_line",
    ),
    (
        "bpcli/config/yaml_reader.py",
        'if "\\t" in before and before.isspace():',
        "if False:",
        "tests/config/test_yaml_tree.py -k error_names_the_line",
    ),
    (
        "bpcli/config/yaml_reader.py",
        "if bad := UNPRINTABLE.search(text):",
        "if bad := None:",
        "tests/config/test_yaml_tree.py -k error_names_the_line",
    ),
    (
        "bpcli/config/load.py",
        "c if c.isprintable() else ascii(c)[1:-1]",
        "c",
        "tests/config/test_schema.py -k cannot_be_printed",
    ),
    (
        "bpcli/config/strict.py",
        'extra="forbid"',
        'extra="ignore"',
        "tests/config/test_schema.py -k unlike_any_other",
    ),
    (
        "bpcli/config/strict.py",
        "if isinstance(value, dict) and len(value) > MOST_KEYS:",
        "if False:",
        "tests/fuzz/test_commands.py -k bomb_as_a_config",
    ),
    (
        "bpcli/config/strict.py",
        "if len(details) >= MOST_PROBLEMS:",
        "if False:",
        "tests/fuzz/test_commands.py -k bomb_as_a_config",
    ),
    (
        "bpcli/config/strict.py",
        "known = [other for other in known if abs(len(other) - len(name)) <= 2]",
        "known = [*known]",
        "tests/fuzz/test_commands.py -k bomb_as_a_config",
    ),
    # CSV
    (
        "bpcli/data/csv_fast.py",
        "return block if whole and np.isfinite(block).all() else None",
        "return block if whole else None",
        "tests/data/test_csv_file.py -k broken_file",
    ),
    (
        "bpcli/data/csv_fast.py",
        "if not every and not _is_even(lines, table):",
        "if False:",
        "tests/data/test_csv_file.py -k ragged_row",
    ),
    (
        "bpcli/data/csv_fast.py",
        "whole = block.shape == (len(text), len(columns))",
        "whole = block.shape[1] == len(columns)",
        "tests/data/test_csv_file.py",
    ),
    (
        "bpcli/data/csv_rows.py",
        'return value if math.isfinite(value) and "_" not in cell else None',
        "return value",
        "tests/data/test_csv_file.py -k broken_file",
    ),
    (
        "bpcli/data/csv_rows.py",
        "if len(row) != width:",
        "if False:",
        "tests/data/test_csv_file.py -k broken_file",
    ),
    (
        "bpcli/data/csv_rows.py",
        'if "\\0" in line:',
        "if False:",
        "tests/data/test_csv_file.py -k broken_file",
    ),
    (
        "bpcli/data/csv_rows.py",
        "delimiter=separator, strict=True)",
        "delimiter=separator)",
        "tests/data/test_csv_file.py -k broken_file",
    ),
    (
        "bpcli/data/csv_rows.py",
        "if len(line) == LONGEST_LINE:",
        "if False:",
        "tests/fuzz/test_memory.py -k one_line",
    ),
    (
        "bpcli/data/source.py",
        "return quoted if quoted.isprintable() else json.dumps(text[:40])",
        "return quoted",
        "tests/data/test_csv_file.py -k broken_file",
    ),
    # gzip
    (
        "bpcli/data/stored.py",
        "refuse_bomb(str(self._path), self._count, self._packed)",
        "pass",
        "tests/fuzz/test_memory.py -k bomb_of_rows",
    ),
    (
        "bpcli/data/stored.py",
        "except (EOFError, gzip.BadGzipFile, zlib.error) as error:",
        "except KeyError as error:",
        "tests/data/test_csv_file.py -k damaged_gzip",
    ),
    # npy, npz
    (
        "bpcli/data/stored.py",
        "if unpacked > max(_FREE_UNPACKED, _MOST_UNPACKED_PER_BYTE * packed):",
        "if False:",
        "tests/fuzz/test_memory.py -k zip_bomb",
    ),
    (
        "bpcli/data/stored.py",
        "if stream.readinto(memoryview(bytearray(1))):",
        "if False:",
        "tests/data/test_idx_file.py -k unsound_file",
    ),
    (
        "bpcli/data/stored.py",
        "        if not finite.all():",
        "        if False:",
        "tests/data/test_npz_file.py -k cannot_be_used",
    ),
    (
        "bpcli/data/npz_file.py",
        "    if dtype.hasobject:",
        "    if False:",
        "tests/data/test_npz_file.py -k cannot_be_used",
    ),
    (
        "bpcli/data/npz_file.py",
        "if count * dtype.itemsize != size - start:",
        "if False:",
        "tests/data/test_npz_file.py -k lying_header",
    ),
    (
        "bpcli/data/npz_file.py",
        'if int.from_bytes(length, "little") > _LONGEST_HEADER:',
        "if False:",
        "tests/data/test_npz_file.py -k longest_header",
    ),
    (
        "bpcli/data/npz_file.py",
        "        if name in members:\n            raise",
        "        if False:\n            raise",
        "tests/data/test_npz_file.py -k doubled_array",
    ),
    (
        "bpcli/data/npz_file.py",
        "if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):",
        "if False:",
        "tests/data/test_npz_file.py -k packing_that_numpy",
    ),
    # IDX
    (
        "bpcli/data/idx_file.py",
        "        _check_size(path, shape, start + needed)\n",
        "",
        "tests/data/test_idx_file.py -k unsound_file",
    ),
    (
        "bpcli/data/idx_file.py",
        "or magic[2] not in _TYPES:",
        "or False:",
        "tests/data/test_idx_file.py -k unsound_file",
    ),
    (
        "bpcli/data/idx_file.py",
        "refuse_other_length(x, y, label)",
        "pass",
        "tests/data/test_idx_file.py -k unsound_file",
    ),
    # checkpoints
    (
        "bpcli/runs/checkpoint.py",
        "if hashlib.sha256(text.encode()).hexdigest() != digest:",
        "if False:",
        "tests/runs/test_checkpoint.py -k not_those_that_were_saved",
    ),
    (
        "bpcli/runs/checkpoint.py",
        'if {name: _entry(array) for name, array in members.items()} != meta["arrays"]:',
        "if False:",
        "tests/runs/test_checkpoint.py -k not_those_that_were_saved",
    ),
    (
        "bpcli/runs/checkpoint.py",
        "        check_metadata(meta)\n",
        "",
        "tests/runs/test_checkpoint.py -k metadata_of_another_form",
    ),
    (
        "bpcli/runs/checkpoint.py",
        "if sum(member.file_size for member in members) > len(blob):",
        "if False:",
        "tests/runs/test_checkpoint.py -k share_their_bytes",
    ),
    # gradients
    (
        "bpcli/engine/losses/log_likelihood.py",
        "np.subtract(z, row, out=shifted)  # by the largest",
        "np.copyto(shifted, z)  # by the largest",
        "tests/engine/test_extreme_logits.py",
    ),
    (
        "bpcli/engine/losses/log_likelihood.py",
        "np.negative(work, out=work)\n        np.exp",
        "np.exp",
        "tests/engine/test_extreme_logits.py",
    ),
]
