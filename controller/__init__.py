"""git -> plan -> gate -> execute -> record; a folder per kind of real device."""
